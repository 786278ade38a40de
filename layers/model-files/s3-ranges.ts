import { hash } from 'node:crypto'
import { Agent as HttpAgent, request as http, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as https } from 'node:https'
import { PlatformError } from '../core/contract/errors.ts'
import type { ReadRange } from './fetch-file.ts'
import { type AwsCredentials, signedGet, signedPut } from './signature.ts'

export interface BucketPlace {
  bucket: string
  region: string
  credentials: AwsCredentials
  /** Another address than S3's own, with the bucket in its path. */
  endpoint?: string | undefined
}

const suffixOf = (region: string): string => (region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com')
const encoded = (key: string): string => key.split('/').map(encodeURIComponent).join('/')
const most_sockets = 16
const most_told_bytes = 1000
/** A whole object goes out while a caller's function is kept waiting. */
const put_timeout_ms = 15_000

interface Call {
  base: URL
  send(
    method: 'GET' | 'PUT',
    path: string,
    headers: Record<string, string>,
    options: { signal?: AbortSignal; body?: Uint8Array },
  ): Promise<IncomingMessage>
}

const caller = ({ bucket, region, endpoint }: BucketPlace): Call => {
  const base = new URL(endpoint === undefined ? `https://${bucket}.s3.${region}.${suffixOf(region)}` : `${endpoint}/${bucket}`)
  const plain = base.protocol === 'http:'
  const agent = new (plain ? HttpAgent : HttpsAgent)({ keepAlive: true, maxSockets: most_sockets })
  const send: Call['send'] = (method, path, headers, { signal, body }) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const sent = (plain ? http : https)(new URL(path, base), { method, headers, agent, signal }, resolve)
    sent.on('error', reject)
    sent.end(body)
    return promise
  }
  return { base, send }
}

const pathIn = ({ pathname }: URL, key: string): string => `${pathname === '/' ? '' : pathname}/${encoded(key)}`

/**
 * Parts of objects in a bucket, by plain signed GETs: the SDK would take 60 ms of CPU to import, in the very moment somebody waits for
 * the model, and the reader repeats by itself, from where a body stopped, which the SDK cannot.
 */
export const s3Ranges = (place: BucketPlace): ReadRange => {
  const { base, send } = caller(place)
  return async (key, { start, end }, signal) => {
    const path = pathIn(base, key)
    const range = `bytes=${start}-${end}`
    const headers = signedGet({ host: base.host, path, region: place.region, range }, place.credentials, new Date())
    const reply = await send('GET', path, headers, { ...(signal && { signal }) })
    const status = reply.statusCode ?? 500
    if (status === 206 || status === 200) return reply
    throw await refusal(reply, key)
  }
}

/** Writes a whole object, by one plain signed PUT. Fails with `not_found` where S3 refuses it, `unavailable` where it may be repeated. */
export const s3Put = (place: BucketPlace, timeout_ms = put_timeout_ms): ((key: string, body: Uint8Array) => Promise<void>) => {
  const { base, send } = caller(place)
  return async (key, body) => {
    const path = pathIn(base, key)
    const sha256 = hash('sha256', body, 'hex')
    const headers = signedPut({ host: base.host, path, region: place.region, sha256 }, place.credentials, new Date())
    const reply = await send(
      'PUT',
      path,
      { ...headers, 'content-length': String(body.length) },
      { body, signal: AbortSignal.timeout(timeout_ms) },
    ).catch((cause: unknown) => {
      throw new PlatformError('unavailable', `S3 did not take ${key}: ${String(cause)}`, { cause })
    })
    if (reply.statusCode !== 200) throw await refusal(reply, key)
    reply.resume()
  }
}

const refusal = async (reply: IncomingMessage, key: string): Promise<PlatformError> => {
  const status = reply.statusCode ?? 500
  const said = await toldBy(reply)
  const refused = status < 500 && status !== 429 && status !== 408
  return new PlatformError(refused ? 'not_found' : 'unavailable', `S3 answered ${status} for ${key} (${said})`)
}

/** The error's code, e.g. `SlowDown`. */
const toldBy = async (reply: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const piece of reply) if (text.length < most_told_bytes) text += String(piece)
  return /<Code>([A-Za-z0-9]+)<\/Code>/.exec(text)?.[1] ?? 'no reason given'
}
