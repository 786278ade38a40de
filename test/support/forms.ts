import { Readable } from 'node:stream'

/** One part of a form: a field when it has no file name. */
export interface FormPart {
  name?: string
  value: string | Uint8Array
  file_name?: string
}

export const BOUNDARY = 'boundary-of-the-test'

/** The bytes of a `multipart/form-data` body. */
export const formBytes = (parts: FormPart[]): Buffer => {
  const chunks = parts.flatMap(({ name, value, file_name }) => [
    Buffer.from(
      `--${BOUNDARY}\r\ncontent-disposition: form-data${name === undefined ? '' : `; name="${name}"`}${file_name === undefined ? '' : `; filename="${file_name}"`}\r\n` +
        `${file_name === undefined ? '' : 'content-type: application/octet-stream\r\n'}\r\n`,
    ),
    Buffer.from(value),
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...chunks, Buffer.from(`--${BOUNDARY}--\r\n`)])
}

/** The call a host would hand over. `chunk_bytes`: how the body arrives. */
export const formCall = (bytes: Uint8Array, chunk_bytes = 65_536, headers: Record<string, string> = {}) => ({
  headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...headers },
  body: Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += chunk_bytes) yield bytes.subarray(at, at + chunk_bytes)
    })(),
    { objectMode: false },
  ),
})

export const field = (name: string, value: string): FormPart => ({ name, value })
export const file = (value: string | Uint8Array, file_name = 'model.onnx'): FormPart => ({ name: 'file', value, file_name })
