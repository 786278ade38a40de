import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import { S3Client } from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { s3Artifacts } from '../../../layers/artifacts/s3.ts'
import { transferSettings } from '../../../layers/aws/client-settings.ts'

/** As S3 does it: a part with a checksum of a kind the upload was not announced with is refused. Emulators take it. */
const startS3 = async () => {
  const sizes: number[] = []
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray())
    const is_part = request.method === 'PUT' && request.url?.includes('partNumber=')
    const answer = (status: number, xml: string) => response.writeHead(status, { etag: '"e"' }).end(xml)
    if (is_part && Object.keys(request.headers).some((name) => name.startsWith('x-amz-checksum-')))
      return answer(
        400,
        '<Error><Code>InvalidRequest</Code><Message>Checksum Type mismatch occurred, expected checksum Type: null, actual checksum Type: crc32</Message></Error>',
      )
    if (is_part) sizes.push(body.length)
    if (request.url?.includes('uploads'))
      return answer(200, '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>')
    return answer(200, '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { sizes, server, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

test('parts of a large object carry no checksum that S3 was not told to expect', async () => {
  const { sizes, server, endpoint } = await startS3()
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = () => new S3Client({ ...transferSettings, endpoint, region: 'us-east-1', forcePathStyle: true, credentials })
  const artifacts = s3Artifacts({ bucket: 'b', client, now: () => new Date(), scratch_dir: tmpdir() })
  const whole = Buffer.alloc(9 * 2 ** 20, 1)
  try {
    expect(await artifacts.put('models/a', Readable.from([whole]))).toMatchObject({ size_bytes: whole.length })
    expect(sizes).toEqual([8 * 2 ** 20, 2 ** 20])
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
