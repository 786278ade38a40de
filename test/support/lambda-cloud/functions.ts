import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import {
  absent,
  CloudFault,
  type CloudFunction,
  type CloudOptions,
  type CloudState,
  conflict,
  type FunctionConfig,
  invalid,
} from './state.ts'

/** Lambda's functions and versions: what the service checks, in its words. */

const Body = z.object({
  FunctionName: z
    .string()
    .regex(/^[a-zA-Z0-9-_]{1,64}$/)
    .optional(),
  Description: z.string().max(256).optional(),
  Role: z
    .string()
    .regex(/^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role\/?[a-zA-Z_0-9+=,.@\-_/]+$/)
    .optional(),
  MemorySize: z.number().int().min(128).max(10_240).optional(),
  Timeout: z.number().int().min(1).max(900).optional(),
  EphemeralStorage: z.object({ Size: z.number().int().min(512).max(10_240) }).optional(),
  Layers: z.array(z.string()).max(5).optional(),
  Environment: z.object({ Variables: z.record(z.string().regex(/^[a-zA-Z]([a-zA-Z0-9_])+$/), z.string()) }).optional(),
  Architectures: z
    .array(z.enum(['arm64', 'x86_64']))
    .length(1)
    .optional(),
  Runtime: z.enum(['nodejs24.x', 'nodejs22.x']).optional(),
  Handler: z.string().optional(),
  Code: z.object({ S3Bucket: z.string(), S3Key: z.string(), S3ObjectVersion: z.string().optional() }).optional(),
  S3Bucket: z.string().optional(),
  S3Key: z.string().optional(),
  LoggingConfig: z.object({ LogFormat: z.string(), LogGroup: z.string() }).optional(),
  Tags: z.record(z.string(), z.string()).optional(),
  RevisionId: z.string().optional(),
})
type Body = z.infer<typeof Body>

export const parsedBody = <Out>(schema: z.ZodType<Out>, body: unknown): Out => {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new CloudFault('ValidationException', 400, z.prettifyError(parsed.error))
}

export const functionOf = (state: CloudState, name: string): CloudFunction => {
  const found = state.functions.get(name)
  if (!found) throw absent(name)
  return found
}

/** A version, or an alias' version, or the unpublished function. */
export const configOf = (fn: CloudFunction, qualifier: string | null): FunctionConfig => {
  if (qualifier === null || qualifier === '$LATEST') return fn.latest
  const found = fn.versions.get(fn.aliases.get(qualifier)?.version ?? qualifier)
  if (!found) throw absent(`${fn.name}:${qualifier}`)
  return found
}

const checkRevision = (wanted: string | undefined, has: string): void => {
  if (wanted !== undefined && wanted !== has)
    throw new CloudFault('PreconditionFailedException', 412, 'The Revision Id provided does not match the latest Revision Id.')
}

/** Time passes for whoever is refused, too. */
const checkIdle = ({ latest }: CloudFunction): void => {
  const { state, last_update } = latest
  if (state !== 'Pending' && last_update !== 'InProgress') return
  looked(latest)
  const why =
    state === 'Pending' ? 'The function is currently in the following state: Pending' : 'An update is in progress for resource'
  throw conflict(`The operation cannot be performed at this time. ${why}`)
}

const checkEnvironment = (variables: Record<string, string>): void => {
  const size = Object.entries(variables).reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value), 0)
  if (size > 4096)
    throw invalid(
      'Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit',
    )
  const reserved = Object.keys(variables).find((name) =>
    /^(_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_.*|AWS_ACCESS_KEY(_ID)?|AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|LAMBDA_.*)$/.test(
      name,
    ),
  )
  if (reserved) throw invalid(`Reserved keys used in this request: ${reserved}`)
}

const checkRole = (state: CloudState, arn: string): void => {
  const role = state.roles.get(arn.split('/').at(-1) ?? '')
  if (role && role.unknown_for > 0) role.unknown_for -= 1
  else if (role?.trust.includes('lambda.amazonaws.com')) return
  throw invalid('The role defined for the function cannot be assumed by Lambda.')
}

const checkCode = (options: CloudOptions, bucket: string, key: string): void => {
  if (!options.code.has(`${bucket}/${key}`))
    throw invalid('Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.')
}

const checkLayers = (options: CloudOptions, layers: string[]): void => {
  for (const layer of layers) if (!options.layers.has(layer)) throw invalid(`Layer version ${layer} does not exist.`)
}

export const createFunction = (state: CloudState, options: CloudOptions, given: unknown): CloudFunction => {
  const body = parsedBody(Body, given)
  const { FunctionName: name = '', Role = '', Code } = body
  if (state.functions.has(name)) throw conflict(`Function already exist: ${name}`)
  if (!Code) throw invalid('Please provide a source for function code.')
  checkRole(state, Role)
  checkCode(options, Code.S3Bucket, Code.S3Key)
  checkLayers(options, body.Layers ?? [])
  checkEnvironment(body.Environment?.Variables ?? {})
  const { most_memory_mb = 10_240 } = options
  if ((body.MemorySize ?? 0) > most_memory_mb)
    throw invalid(
      `'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to ${most_memory_mb}`,
    )
  const latest: FunctionConfig = {
    ...configured(emptyConfig, body),
    code: { bucket: Code.S3Bucket, key: Code.S3Key },
    architectures: body.Architectures ?? ['x86_64'],
    looks_left: options.looks,
    state: 'Pending',
    revision_id: randomUUID(),
  }
  const made = { name, tags: body.Tags ?? {}, latest, versions: new Map(), published: 0, aliases: new Map(), reserved: undefined }
  state.functions.set(name, made)
  return made
}

const emptyConfig: FunctionConfig = {
  version: '$LATEST',
  description: '',
  role: '',
  memory_mb: 128,
  timeout_s: 3,
  ephemeral_mb: 512,
  layers: [],
  environment: {},
  architectures: ['x86_64'],
  runtime: '',
  handler: '',
  code: { bucket: '', key: '' },
  log_group: '',
  revision_id: '',
  looks_left: 0,
  state: 'Active',
  last_update: 'Successful',
}

const configured = (before: FunctionConfig, body: Body): FunctionConfig => ({
  ...before,
  description: body.Description ?? before.description,
  role: body.Role ?? before.role,
  memory_mb: body.MemorySize ?? before.memory_mb,
  timeout_s: body.Timeout ?? before.timeout_s,
  ephemeral_mb: body.EphemeralStorage?.Size ?? before.ephemeral_mb,
  layers: body.Layers ?? before.layers,
  environment: body.Environment?.Variables ?? before.environment,
  runtime: body.Runtime ?? before.runtime,
  handler: body.Handler ?? before.handler,
  log_group: body.LoggingConfig?.LogGroup ?? before.log_group,
})

const updating = (options: CloudOptions) =>
  ({ last_update: 'InProgress', looks_left: options.looks, revision_id: randomUUID() }) as const

export const updateCode = (state: CloudState, options: CloudOptions, name: string, given: unknown): FunctionConfig => {
  const fn = functionOf(state, name)
  const body = parsedBody(Body, given)
  checkIdle(fn)
  checkRevision(body.RevisionId, fn.latest.revision_id)
  checkCode(options, body.S3Bucket ?? '', body.S3Key ?? '')
  fn.latest = {
    ...fn.latest,
    ...updating(options),
    code: { bucket: body.S3Bucket ?? '', key: body.S3Key ?? '' },
    architectures: body.Architectures ?? fn.latest.architectures,
  }
  return fn.latest
}

export const updateConfiguration = (state: CloudState, options: CloudOptions, name: string, given: unknown): FunctionConfig => {
  const fn = functionOf(state, name)
  const body = parsedBody(Body, given)
  checkIdle(fn)
  checkRevision(body.RevisionId, fn.latest.revision_id)
  if (body.Role) checkRole(state, body.Role)
  checkLayers(options, body.Layers ?? [])
  checkEnvironment(body.Environment?.Variables ?? {})
  fn.latest = { ...configured(fn.latest, body), ...updating(options) }
  return fn.latest
}

/** AWS gets on with its work a little at every look. */
export const looked = (config: FunctionConfig): FunctionConfig => {
  if (config.looks_left > 0) config.looks_left -= 1
  else if (config.state === 'Pending') Object.assign(config, { state: 'Active', last_update: 'Successful' })
  else if (config.last_update === 'InProgress') config.last_update = 'Successful'
  return config
}

const content = ({ version, revision_id, looks_left, state, last_update, ...rest }: FunctionConfig): string =>
  JSON.stringify(rest)

/** An unchanged function is not published again. */
export const publishVersion = (state: CloudState, options: CloudOptions, name: string, given: unknown): FunctionConfig => {
  const fn = functionOf(state, name)
  const body = parsedBody(Body, given)
  checkIdle(fn)
  checkRevision(body.RevisionId, fn.latest.revision_id)
  const wanted = { ...fn.latest, description: body.Description ?? fn.latest.description }
  const newest = fn.versions.get(String(fn.published))
  if (newest && content(newest) === content(wanted)) return newest
  fn.published += 1
  const made: FunctionConfig = {
    ...wanted,
    version: String(fn.published),
    revision_id: randomUUID(),
    state: 'Pending',
    looks_left: options.looks,
  }
  fn.versions.set(made.version, made)
  return made
}

export const deleteFunction = (state: CloudState, name: string, qualifier: string | null): void => {
  const fn = functionOf(state, name)
  if (qualifier === null) return void state.functions.delete(name)
  if (!/^\d+$/.test(qualifier)) throw invalid('$LATEST version cannot be deleted without deleting the function.')
  for (const [alias, { version, weights }] of fn.aliases)
    if (version === qualifier || qualifier in weights)
      throw conflict(`Version ${qualifier} is still being referenced by alias ${alias}`)
  if (!fn.versions.delete(qualifier)) throw absent(`${name}:${qualifier}`)
}
