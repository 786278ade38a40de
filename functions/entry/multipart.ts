import type { Readable } from 'node:stream'
import { Busboy, type BusboyFileStream } from '@fastify/busboy'
import { type FieldError, isPlatformError, PlatformError } from '../../layers/core/contract/errors.ts'

/** A form has a few short fields and one file; what exceeds this is no form of ours. */
const MAX_FIELD_BYTES = 256 * 1024
const MAX_PARTS = 32
const MAX_HEADER_BYTES = 16 * 1024
/** What boundaries, part headers and fields may add to the file, all together. */
const FRAMING_BYTES = 1024 * 1024

export interface WantedForm {
  fields: readonly string[]
  file: string
  max_bytes: number
}

/** The bytes must be read to their end, or the returned promise must reject. */
export type ReceiveFile = (file: { file_name: string; bytes: AsyncIterable<Uint8Array> }) => Promise<void>

interface Call {
  headers: Record<string, string>
  body: Readable
}

/**
 * Reads a `multipart/form-data` body (RFC 7578) in constant memory: the file goes to `receive` as it arrives, wherever it stands;
 * the fields are answered as text. Resolves after `receive` has; rejects only after `receive` has settled, so that its cleaning is done.
 * `payload_too_large` by the declared length before anything is read, or once more arrives; `malformed_body` for what is no or
 * half a form; `invalid_request` naming the missing, repeated and unknown parts.
 */
export async function readForm(call: Call, wanted: WantedForm, receive: ReceiveFile): Promise<Record<string, string>> {
  refuseTooLarge(Number(call.headers['content-length'] ?? 0), wanted.max_bytes)
  const busboy = parserFor(call.headers, wanted)
  const failed = Promise.withResolvers<never>()
  const files: { stream: BusboyFileStream; stored: Promise<void> }[] = []
  const seen: { name: string; value?: string }[] = []
  const fail = (error: unknown): void => failed.reject(error)
  let refused: Error | undefined

  busboy.on('field', (name: string | undefined, value) => {
    if (name === undefined) return fail(malformed('a part has no name'))
    if (value.length > MAX_FIELD_BYTES)
      return fail(new PlatformError('payload_too_large', `Field ${name} is longer than ${MAX_FIELD_BYTES} characters`))
    seen.push({ name, value })
  })
  busboy.on('file', (name, stream, claimed_name) => {
    // The parser reports a cut-off here too, perhaps before anybody reads: without a listener that would end the process.
    stream.on('error', () => {})
    if (seen.some((part) => part.name === name)) {
      stream.resume()
      return fail(unfit([{ pointer: `/${name}`, detail: 'stands more than once' }]))
    }
    seen.push({ name })
    const stored = receive({ file_name: claimed_name ?? '', bytes: stream })
    stored.catch(fail)
    files.push({ stream, stored })
  })
  busboy.on('error', (error) => fail(malformed(error instanceof Error ? error.message : 'unreadable', error)))
  busboy.on('partsLimit', () => fail(malformed(`it has more than ${MAX_PARTS} parts`)))

  try {
    await Promise.race([
      feed(call.body, busboy, (arrived_bytes) => refuseExcess(arrived_bytes, files[0]?.stream.bytesRead ?? 0, wanted.max_bytes)),
      failed.promise,
    ])
    await Promise.all(files.map(({ stored }) => stored))
    return fieldsOf(seen, wanted)
  } catch (error) {
    refused = error instanceof Error ? error : new Error(String(error))
    throw error
  } finally {
    call.body.unpipe?.(busboy)
    if (refused) await abandon(files, refused)
  }
}

/** Ends what is still being stored and waits until it has cleaned up. */
async function abandon(files: { stream: BusboyFileStream; stored: Promise<void> }[], reason: Error): Promise<void> {
  for (const { stream } of files) stream.destroy(reason)
  await Promise.allSettled(files.map(({ stored }) => stored))
}

function parserFor(headers: Record<string, string>, wanted: WantedForm) {
  try {
    return new Busboy({
      headers: { 'content-type': headers['content-type'] ?? '' },
      // What is the file is decided by its name: clients send text files as text and JSON fields with a file name.
      isPartAFile: (name) => name === wanted.file,
      // Past `fieldSize` the parser would stop reading without a word; `refuseExcess` comes before.
      limits: { fieldSize: 4 * FRAMING_BYTES, parts: MAX_PARTS, headerSize: MAX_HEADER_BYTES },
    })
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : 'unreadable header', cause)
  }
}

/** Pumps the body into the parser with its back pressure. A client that goes away is an error, not an end. */
function feed(body: Readable, busboy: InstanceType<typeof Busboy>, check: (arrived_bytes: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let arrived_bytes = 0
    busboy.once('finish', resolve)
    body.on('data', (chunk: Uint8Array) => {
      arrived_bytes += chunk.byteLength
      try {
        check(arrived_bytes)
      } catch (error) {
        body.unpipe(busboy)
        reject(error)
      }
    })
    body.once('error', (cause) => reject(isPlatformError(cause) ? cause : cutOff(cause)))
    body.once('close', () => {
      if (!body.readableEnded) reject(cutOff())
    })
    if (body.destroyed) reject(cutOff())
    body.pipe(busboy)
  })
}

/** What is not the file's is bounded by itself, so that nothing but the file can grow. */
function refuseExcess(arrived_bytes: number, file_bytes: number, max_bytes: number): void {
  if (file_bytes > max_bytes) throw tooLarge(max_bytes)
  if (arrived_bytes - file_bytes <= FRAMING_BYTES) return
  throw new PlatformError('payload_too_large', `The form holds more than ${FRAMING_BYTES} bytes besides its file`)
}

function fieldsOf(seen: { name: string; value?: string }[], wanted: WantedForm): Record<string, string> {
  const names = seen.map(({ name }) => name)
  const known = [...wanted.fields, wanted.file]
  const repeated = new Set(names.filter((name, at) => names.indexOf(name) !== at))
  const errors: FieldError[] = [
    ...[...new Set(names)]
      .filter((name) => !known.includes(name))
      .map((name) => ({ pointer: `/${name}`, detail: `is not known; wanted ${known.join(', ')}` })),
    ...[...repeated].map((name) => ({ pointer: `/${name}`, detail: 'stands more than once' })),
    ...(names.includes(wanted.file) ? [] : [{ pointer: `/${wanted.file}`, detail: 'is missing' }]),
  ]
  if (errors.length > 0) throw unfit(errors)
  return Object.fromEntries(seen.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])))
}

const unfit = (errors: FieldError[]): PlatformError =>
  new PlatformError(
    'invalid_request',
    `The form is not as wanted: ${errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ')}`,
    { errors },
  )

const malformed = (what: string, cause?: unknown): PlatformError =>
  new PlatformError('malformed_body', `The body is not a complete multipart form: ${what}`, { cause })

const cutOff = (cause?: unknown): PlatformError =>
  new PlatformError('upload_incomplete', 'The connection ended before the form did', { cause })

const refuseTooLarge = (declared_bytes: number, max_bytes: number): void => {
  if (declared_bytes > max_bytes + FRAMING_BYTES) throw tooLarge(max_bytes, declared_bytes)
}

const tooLarge = (max_bytes: number, declared_bytes?: number): PlatformError =>
  new PlatformError(
    'payload_too_large',
    `The body has ${declared_bytes ?? 'more'} bytes; wanted a file of at most ${max_bytes}, or set a higher limit`,
    {
      facts: { max_upload_bytes: max_bytes },
    },
  )
