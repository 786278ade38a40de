import { PlatformError } from '../contract/errors.ts'
import type { App } from '../ports/app.ts'
import { optimizationArtifact } from './optimization-records.ts'

const PREFIX = /^data:[^,]*;base64,/
/** What .npz (a zip) and .npy begin with. */
const MAGIC = [
  [0x50, 0x4b, 0x03, 0x04],
  [0x93, 0x4e, 0x55, 0x4d],
]

/**
 * Stores calibration rows that came inside a request as `data:…;base64,…` of an .npz or .npy file; answers the artifact's key.
 * Fails with `invalid_request` when it is neither.
 */
export const storeCalibration = async (
  app: Pick<App, 'artifacts'>,
  { organization_id, id }: { organization_id: string; id: string },
  data: string | null,
): Promise<string | null> => {
  if (data === null) return null
  const prefix = PREFIX.exec(data)?.[0]
  const bytes = prefix === undefined ? undefined : Buffer.from(data.slice(prefix.length), 'base64')
  if (!bytes || !MAGIC.some((magic) => magic.every((byte, at) => bytes[at] === byte))) {
    const detail = 'wanted "data:application/octet-stream;base64,…" of an .npz or .npy file with one array per input'
    throw new PlatformError('invalid_request', `calibration_data is not usable: ${detail}`, {
      errors: [{ pointer: '/calibration_data', detail }],
    })
  }
  const key = optimizationArtifact(organization_id, id, 'calibration.npz')
  await app.artifacts.put(key, once(bytes), { size_bytes: bytes.length })
  return key
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
