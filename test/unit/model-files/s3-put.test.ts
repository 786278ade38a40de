import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { s3Put } from '../../../layers/model-files/s3-ranges.ts'

const credentials = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'secret', session_token: undefined }

it('gives up writing to a bucket that does not answer, for a caller waits', async () => {
  let asked = 0
  const server = createServer(() => {
    asked += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const put = s3Put({ bucket: 'b', region: 'us-east-1', endpoint, credentials }, 100)
    await expect(put('samples/a', new Uint8Array(3))).rejects.toMatchObject({ code: 'unavailable' })
    expect(asked).toBe(1)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
