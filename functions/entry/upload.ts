import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import type * as z from 'zod'
import { PlatformError } from '../../layers/core/contract/errors.ts'
import { DatasetForm } from '../../layers/core/contract/routes/datasets.ts'
import { UploadForm } from '../../layers/core/contract/routes/models.ts'
import { type ReceiveFile, readForm } from './multipart.ts'
import { parseJson } from './strict-json.ts'
import { validate } from './validate.ts'

/** The two ways to say what is uploaded: `POST /models` and `POST /datasets` are one route each with two media types. */

const MAX_JSON_BYTES = 1024 * 1024

interface Call {
  headers: Record<string, string>
  body: Readable
}

/** Runs what the request's media type stands for. Fails with `unsupported_media_type` naming those that are taken. */
export function byMediaType<Answer>(
  headers: Record<string, string>,
  ways: Record<string, () => Promise<Answer>>,
): Promise<Answer> {
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const way = Object.hasOwn(ways, type) ? ways[type] : undefined
  if (!way)
    throw new PlatformError(
      'unsupported_media_type',
      `The body is ${type || 'of no declared type'}; wanted ${Object.keys(ways).join(' or ')}`,
    )
  return way()
}

/** The multipart form of a model: its file goes to `receive`, its fields are answered checked; `metadata` is the text of a JSON object. */
export async function readUploadForm(call: Call, max_bytes: number, receive: ReceiveFile): Promise<UploadForm> {
  const { metadata, ...fields } = await readForm(
    call,
    { fields: Object.keys(UploadForm.shape), file: 'file', max_bytes },
    receive,
  )
  const given = { ...fields, ...(metadata !== undefined && metadata !== '' && { metadata: metadataOf(metadata) }) }
  return UploadForm.parse(validate(UploadForm, given, 'body'))
}

/** The same of a dataset; `keep` is `true` or `false`. */
export async function readDatasetForm(call: Call, max_bytes: number, receive: ReceiveFile): Promise<DatasetForm> {
  const { keep, ...fields } = await readForm(call, { fields: Object.keys(DatasetForm.shape), file: 'file', max_bytes }, receive)
  const said = keep === 'true' || keep === 'false' ? keep === 'true' : keep
  return DatasetForm.parse(validate(DatasetForm, { ...fields, ...(keep !== undefined && { keep: said }) }, 'body'))
}

const metadataOf = (text: string): unknown => {
  try {
    return parseJson(text)
  } catch (cause) {
    const detail = `${cause instanceof Error ? cause.message.replace('The body', 'it') : 'it is unreadable'}; wanted the text of a JSON object`
    throw new PlatformError('invalid_request', `The field metadata is not as wanted: ${detail}`, {
      errors: [{ pointer: '/metadata', detail }],
      cause,
    })
  }
}

/** The JSON announcement of an upload in parts. */
export async function readAnnouncement<Schema extends z.ZodType>(call: Call, schema: Schema): Promise<z.output<Schema>> {
  const chunks: Uint8Array[] = []
  let size_bytes = 0
  refuseTooLong(Number(call.headers['content-length'] ?? 0))
  for await (const chunk of call.body) {
    size_bytes += chunk.length
    refuseTooLong(size_bytes)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks)
  if (!isUtf8(text)) throw new PlatformError('malformed_body', 'The body is not UTF-8')
  return schema.parse(validate(schema, parseJson(text.toString('utf8')), 'body'))
}

const refuseTooLong = (size_bytes: number): void => {
  if (size_bytes > MAX_JSON_BYTES)
    throw new PlatformError('payload_too_large', `The announcement of an upload is longer than ${MAX_JSON_BYTES} bytes`)
}
