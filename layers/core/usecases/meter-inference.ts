import { PassThrough, type Readable } from 'node:stream'
import type { Deployment } from '../domain/deployment.ts'
import { type Footprint, footprintOf } from '../domain/footprint.ts'
import { memoryBytes } from '../domain/memory-size.ts'
import type { InferenceSample } from '../domain/usage.ts'
import type { App } from '../ports/app.ts'
import type { InferenceReply } from '../ports/deployer.ts'
import type { InferenceAnswer } from './infer-deployment.ts'

type Needs = Pick<App, 'now' | 'meter'>

/** A call as it came in. */
interface Arrived {
  deployment: Deployment
  started_ms: number
  request_headers: Record<string, string>
  request_body: Uint8Array | Readable
}

interface Answered extends Arrived {
  reply: InferenceReply
  woke_us: number
  /** What answered has counted the call itself. */
  is_metered: boolean
}

/** Records the call when its reply is complete: at once when it is whole, at the end of a stream. `done` is called at the same moment. */
export const meterReply = (app: Needs, call: Answered, done: () => void): InferenceAnswer => {
  const { reply } = call
  const answer = { status: reply.status, headers: { ...reply.headers } }
  const { body } = reply
  const record = (bytes_out: number, cut: boolean): void => {
    if (!call.is_metered) app.meter.record(replySample(app, call, bytes_out, cut))
  }
  if (body instanceof Uint8Array) {
    record(body.byteLength, false)
    done()
    return { ...answer, body }
  }
  const counted = counting(body, (bytes_out, cut) => {
    record(bytes_out, cut)
    done()
  })
  return { ...answer, body: counted }
}

/** The same bytes; tells how many passed when the stream ends, `cut` when it did not come to its end. */
const counting = (source: Readable, ended: (size_bytes: number, cut: boolean) => void): Readable => {
  let size_bytes = 0
  let told = false
  const tell = (cut: boolean) => {
    if (told) return
    told = true
    ended(size_bytes, cut)
  }
  const counted = new PassThrough()
  source.on('data', (piece: Uint8Array) => {
    size_bytes += piece.byteLength
  })
  source.once('error', (error) => counted.destroy(error))
  counted.once('end', () => tell(false))
  counted.once('close', () => {
    tell(true)
    source.destroy()
  })
  return source.pipe(counted)
}

const replySample = (app: Needs, call: Answered, bytes_out: number, cut: boolean): InferenceSample => {
  const { reply, woke_us } = call
  const { compute_us, cpu_us, cold, init_us, memory_bytes } = reply.usage
  return {
    ...sampleOf(app, call),
    ...(reply.revision === undefined ? {} : { revision: reply.revision }),
    compute_us,
    cpu_us,
    cold: cold || woke_us > 0,
    init_us: Math.max(init_us, woke_us),
    error: cut || reply.status >= 500,
    bytes_out,
    memory_bytes,
  }
}

/** A call that got no reply from the model. */
export const errorSample = (app: Needs, call: Arrived): InferenceSample => ({
  ...sampleOf(app, call),
  ...{ compute_us: 0, cpu_us: 0, cold: false, init_us: 0, error: true, bytes_out: 0, memory_bytes: 0 },
})

const sampleOf = (app: Needs, { deployment, started_ms, request_headers, request_body }: Arrived) => ({
  organization_id: deployment.organization_id,
  deployment_id: deployment.id,
  deployment_type: deployment.deployment_type,
  revision: deployment.revision,
  at_ms: app.now().getTime(),
  latency_us: Math.round((performance.now() - started_ms) * 1000),
  bytes_in: request_body instanceof Uint8Array ? request_body.byteLength : Number(request_headers['content-length'] ?? 0) || 0,
  ...billedOf(deployment),
})

interface Billed {
  memory_limit_bytes: number
  footprint: Footprint | undefined
}

const billed = new WeakMap<Deployment['resource_requirements'], Billed & { state: Deployment['deployer_state'] }>()

/** What decides the price. Found once per cached deployment: this is on the path of every inference. */
const billedOf = ({ resource_requirements, deployer_state }: Deployment): Billed => {
  const known = billed.get(resource_requirements)
  if (known?.state === deployer_state) return { memory_limit_bytes: known.memory_limit_bytes, footprint: known.footprint }
  const footprint = footprintOf(deployer_state)
  const memory_limit_bytes =
    footprint?.memory_mb === undefined ? memoryBytes(resource_requirements.memory) : footprint.memory_mb * 2 ** 20
  billed.set(resource_requirements, { memory_limit_bytes, footprint, state: deployer_state })
  return { memory_limit_bytes, footprint }
}
