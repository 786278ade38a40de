import { PlatformError } from '../contract/errors.ts'
import type { App } from '../ports/app.ts'
import type { PartRequest } from '../ports/artifacts.ts'

/** Store one part. The signature of the URL is the credential; checked by the artifacts, which issued it. */
export const putUploadPart = async (
  app: Pick<App, 'artifacts'>,
  request: PartRequest,
  body: AsyncIterable<Uint8Array>,
): Promise<{ etag: string }> => {
  const { receivePart } = app.artifacts
  if (!receivePart)
    throw new PlatformError('port_unavailable', 'Parts go to the URLs that the upload was answered with, not to the platform')
  return receivePart(request, body)
}
