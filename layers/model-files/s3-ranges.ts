import { Agent as HttpAgent, request as http, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as https } from 'node:https'
import { PlatformError } from '../core/contract/errors.ts'
import type { ReadRange } from './fetch-file.ts'
import { type AwsCredentials, signedGet } from './signature.ts'

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

/**
 * Parts of objects in a bucket, by plain signed GETs: the SDK would take 60 ms of CPU to import, in the very moment somebody waits for
 * the model, and the reader repeats by itself, from where a body stopped, which the SDK cannot.
 */
export const s3Ranges = ({ bucket, region, credentials, endpoint }: BucketPlace): ReadRange => {
  const base = new URL(endpoint === undefined ? `https://${bucket}.s3.${region}.${suffixOf(region)}` : `${endpoint}/${bucket}`)
  const root = base.pathname === '/' ? '' : base.pathname
  const plain = base.protocol === 'http:'
  const agent = new (plain ? HttpAgent : HttpsAgent)({ keepAlive: true, maxSockets: most_sockets })
  return async (key, { start, end }, signal) => {
    const path = `${root}/${encoded(key)}`
    const headers = signedGet({ host: base.host, path, region, range: `bytes=${start}-${end}` }, credentials, new Date())
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const sent = (plain ? http : https)(new URL(path, base), { method: 'GET', headers, agent, signal }, resolve)
    sent.on('error', reject)
    sent.end()
    const reply = await promise
    const status = reply.statusCode ?? 500
    if (status === 206 || status === 200) return reply
    const said = await toldBy(reply)
    const refused = status < 500 && status !== 429 && status !== 408
    throw new PlatformError(refused ? 'not_found' : 'unavailable', `S3 answered ${status} for ${key} (${said})`)
  }
}

/** The error's code, e.g. `SlowDown`. */
const toldBy = async (reply: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const piece of reply) if (text.length < most_told_bytes) text += String(piece)
  return /<Code>([A-Za-z0-9]+)<\/Code>/.exec(text)?.[1] ?? 'no reason given'
}
