import * as z from 'zod'
import { cpuCores, memoryBytes } from '../../core/domain/memory-size.ts'

export const EndpointMode = z.enum(['serverless', 'real_time', 'async'])
export type EndpointMode = z.infer<typeof EndpointMode>

/** What the service takes, by mode. Timeouts in seconds, payloads in MB of 10^6 bytes. */
export const limits = {
  serverless: { timeout_s: 60, payload_mb: 4, memory_mb: 6144, instances: 200 },
  real_time: { timeout_s: 60, payload_mb: 6 },
  async: { timeout_s: 3600, payload_mb: 1000 },
} as const

const Metadata = z.looseObject({
  endpoint_mode: EndpointMode.optional(),
  /** The largest request body that will come. */
  max_payload_mb: z.number().positive().max(limits.async.payload_mb).optional(),
  /** Real-time endpoints only: their instances are released while nobody calls, by inference components. */
  scale_to_zero: z.boolean().optional(),
  instance_type: z
    .string()
    .regex(/^ml\.[a-z0-9-]+\.[a-z0-9]+$/, 'wanted a SageMaker instance type as "ml.m5.large"')
    .optional(),
})

const Wanted = z.object({
  resource_requirements: z.looseObject({ cpu: z.string(), memory: z.string(), gpu: z.string().nullable(), timeout: z.number() }),
  scaling_policy: z.looseObject({ min_instances: z.number(), max_instances: z.number(), target_cpu_utilization: z.number() }),
  metadata: Metadata,
})
export type Wanted = z.infer<typeof Wanted>

export interface Choice {
  mode: EndpointMode
  /** Why, in words. */
  note: string
  memory_mb: number
  gpus: number
  cores: number
}

/** GPUs as a count: `1`, `2`, or a name, which means one. */
const gpusOf = (gpu: string | null): number => (gpu === null ? 0 : /^\d+$/.test(gpu) ? Number(gpu) : 1)

/** The mode asked for, else the cheapest at rest that can do it. */
export const chosenMode = ({ resource_requirements: need, metadata }: Wanted): Choice => {
  const sized = { memory_mb: Math.ceil(memoryBytes(need.memory) / 2 ** 20), gpus: gpusOf(need.gpu), cores: cpuCores(need.cpu) }
  const asked = metadata.endpoint_mode
  if (asked !== undefined) return { ...sized, mode: asked, note: `endpoint_mode ${asked} as asked for` }
  const payload_mb = metadata.max_payload_mb ?? limits.serverless.payload_mb
  if (need.timeout > limits.real_time.timeout_s || payload_mb > limits.real_time.payload_mb)
    return {
      ...sized,
      mode: 'async',
      note: `endpoint_mode async: only it takes requests of ${need.timeout} s and ${payload_mb} MB (others: 60 s, 6 MB)`,
    }
  const small = sized.gpus === 0 && sized.memory_mb <= limits.serverless.memory_mb && payload_mb <= limits.serverless.payload_mb
  return small
    ? {
        ...sized,
        mode: 'serverless',
        note: 'endpoint_mode serverless: no GPU, at most 6 GB and 60 s, so it costs nothing at rest',
      }
    : { ...sized, mode: 'real_time', note: 'endpoint_mode real_time: a GPU, more than 6 GB, or more than 4 MB a request' }
}

/** What a deployment of type `sagemaker` may ask for; messages say what got, wanted. */
export const sagemakerSettings: z.ZodType = Wanted.superRefine((wanted, context) => {
  const say = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message })
  const { resource_requirements: need, scaling_policy: scaling, metadata } = wanted
  const { mode, memory_mb, gpus } = chosenMode(wanted)
  const most = limits[mode]
  const at = (member: string): string[] => ['resource_requirements', member]
  if (need.timeout > most.timeout_s)
    say(at('timeout'), `got ${need.timeout}, wanted at most ${most.timeout_s} seconds for ${mode}`)
  if ((metadata.max_payload_mb ?? 0) > most.payload_mb)
    say(['metadata', 'max_payload_mb'], `got ${metadata.max_payload_mb}, wanted at most ${most.payload_mb} for ${mode}`)
  if (mode !== 'real_time' && metadata.scale_to_zero !== undefined)
    say(['metadata', 'scale_to_zero'], `only real_time endpoints scale to zero by components; ${mode} does so by itself`)
  if (mode !== 'serverless') return
  if (gpus > 0)
    say(at('gpu'), `got ${need.gpu}; serverless endpoints have no GPU: wanted null, or endpoint_mode real_time or async`)
  if (memory_mb > limits.serverless.memory_mb)
    say(at('memory'), `got ${need.memory}, wanted at most 6Gi for serverless; real_time and async take more`)
  if (scaling.max_instances > limits.serverless.instances)
    say(['scaling_policy', 'max_instances'], `got ${scaling.max_instances}, wanted at most ${limits.serverless.instances}`)
  if (metadata.instance_type !== undefined)
    say(['metadata', 'instance_type'], 'serverless endpoints have no instance type: wanted none')
})

/** The members a deployment's plan is made of. The deployment passed `sagemakerSettings` when it was written. */
export const wantedOf = (deployment: object): Wanted => Wanted.parse(deployment)
