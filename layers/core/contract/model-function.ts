import * as z from 'zod'
import { RecordRequests } from '../domain/recorded-rows.ts'

/**
 * What the platform hands to the function that serves one revision of a deployment: a few names in its environment (4 kB at most, all
 * variables together) and everything else in one object in the bucket, whose sha256 stands in the environment.
 */

/** A file of the model in its serving form; it is served only when all of it is there and its sha256 holds. */
export const ModelFile = z.object({
  /** `model.onnx` or `weights.bin`: its name beside the others. */
  name: z.string().regex(/^[A-Za-z0-9._-]{1,200}$/),
  key: z.string(),
  size_bytes: z.number().int().nonnegative(),
  /** Hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})
export type ModelFile = z.infer<typeof ModelFile>

/** `deployments/<deployment id>/<revision>/manifest.json`; never changes once it is written. */
export const ModelManifest = z.object({
  organization_id: z.string(),
  deployment_id: z.string(),
  deployment_type: z.string(),
  revision: z.number().int(),
  /** The deployment's name, which is the model's name in the inference protocol. */
  name: z.string(),
  /** The artifact the serving form was made of. */
  model_sha256: z.string(),
  files: z.array(ModelFile).min(1),
})
export type ModelManifest = z.infer<typeof ModelManifest>

/** The function's environment, beside what the platform passes through (user pool, issuer). */
export const ModelFunctionEnvironment = z.object({
  AIDEPLOY_STAGE: z.string(),
  AIDEPLOY_TABLE: z.string(),
  AIDEPLOY_BUCKET: z.string(),
  AIDEPLOY_ORGANIZATION: z.string(),
  AIDEPLOY_DEPLOYMENT: z.string(),
  AIDEPLOY_DEPLOYMENT_TYPE: z.string(),
  AIDEPLOY_REVISION: z.coerce.number().int(),
  AIDEPLOY_ENDPOINT_AUTH: z.enum(['token', 'none']),
  AIDEPLOY_MANIFEST_KEY: z.string(),
  AIDEPLOY_MANIFEST_SHA256: z.string(),
  /** Seconds one request may take; the function's own limit is a little longer, so that it can answer. */
  AIDEPLOY_TIMEOUT_S: z.coerce.number().positive(),
  /** Memory of the function as it is billed. */
  AIDEPLOY_MEMORY_LIMIT_BYTES: z.coerce.number().int().positive(),
  /** Disk of the function as it is billed, MB of 2^20 bytes. */
  AIDEPLOY_EPHEMERAL_MB: z.coerce.number().int().positive(),
  /** Whole threads for the model, from `cpu`. */
  AIDEPLOY_THREADS: z.coerce.number().int().positive(),
  /** Where the account cannot reserve concurrency: how many instances were wanted. */
  AIDEPLOY_MAX_INSTANCES: z.coerce.number().int().positive().optional(),
  /** JSON: which sample of its requests it keeps; absent: none, and then it may write none either. */
  AIDEPLOY_RECORD_REQUESTS: z
    .string()
    .transform((text) => RecordRequests.parse(JSON.parse(text)))
    .optional(),
})
export type ModelFunctionEnvironment = z.infer<typeof ModelFunctionEnvironment>

/** An event by direct invocation that is no request: answered `{ ready: true, revision }` once the model is loaded. */
export const ProbeEvent = z.object({ probe: z.literal(true) })
export const ProbeReply = z.object({ ready: z.literal(true), revision: z.number().int() })

/** The reply header, only on direct invocation, that tells what the call used: JSON of `InferenceUsage`. */
export const usageHeader = 'x-aideploy-usage'
export const UsageHeader = z.object({
  compute_us: z.number(),
  cpu_us: z.number(),
  cold: z.boolean(),
  init_us: z.number(),
  memory_bytes: z.number(),
  batch_size: z.number(),
})

/**
 * An event by direct invocation, from the platform, which has verified the caller: a function URL's event (payload format 2.0) with this
 * mark beside its members. A caller of the URL cannot set it: Lambda writes everything outside headers, query and body.
 */
export const PlatformCall = z.object({
  platform: z.literal(true),
  version: z.literal('2.0'),
  rawPath: z.string(),
  rawQueryString: z.string(),
  headers: z.record(z.string(), z.string()),
  requestContext: z.object({ requestId: z.string(), http: z.object({ method: z.string(), path: z.string() }) }),
  body: z.string().optional(),
  isBase64Encoded: z.boolean(),
})
export type PlatformCall = z.infer<typeof PlatformCall>
