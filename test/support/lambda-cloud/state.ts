/** What the cloud of the tests keeps; plain data, so that a test can look at it and break it. */

export interface FunctionConfig {
  version: string
  description: string
  role: string
  memory_mb: number
  timeout_s: number
  ephemeral_mb: number
  layers: string[]
  environment: Record<string, string>
  architectures: string[]
  runtime: string
  handler: string
  code: { bucket: string; key: string }
  log_group: string
  revision_id: string
  /** Looks at it until AWS is done. */
  looks_left: number
  state: 'Pending' | 'Active' | 'Failed'
  last_update: 'Successful' | 'InProgress' | 'Failed'
}

export interface FunctionAlias {
  version: string
  weights: Record<string, number>
  revision_id: string
  url?: { id: string; config: Record<string, unknown> }
  statements: Map<string, Record<string, unknown>>
  provisioned?: { requested: number; looks_left: number; failed?: string }
}

export interface CloudFunction {
  name: string
  tags: Record<string, string>
  latest: FunctionConfig
  /** Content of the configuration at the last publishing, by which an unchanged one is known. */
  versions: Map<string, FunctionConfig>
  published: number
  aliases: Map<string, FunctionAlias>
  reserved: number | undefined
}

export interface CloudRole {
  name: string
  path: string
  boundary: string | undefined
  trust: string
  policies: Map<string, string>
  tags: Record<string, string>
  /** CreateFunction calls that do not know it yet. */
  unknown_for: number
}

export interface CloudState {
  functions: Map<string, CloudFunction>
  roles: Map<string, CloudRole>
  logGroups: Map<string, { retention: number | undefined; tags: Record<string, string> }>
  scalable: Map<string, { min: number; max: number; policies: Map<string, Record<string, unknown>> }>
  /** Calls through the alias by version, as CloudWatch would count them. */
  counts: Map<string, { invocations: number; errors: number }>
}

export const emptyState = (): CloudState => ({
  functions: new Map(),
  roles: new Map(),
  logGroups: new Map(),
  scalable: new Map(),
  counts: new Map(),
})

/** A refusal in the service's own words. */
export class CloudFault extends Error {
  readonly code: string
  readonly status: number
  constructor(code: string, status: number, message: string) {
    super(message)
    this.code = code
    this.status = status
  }
}

export const absent = (what: string): CloudFault =>
  new CloudFault('ResourceNotFoundException', 404, `Function not found: ${what}`)
export const conflict = (message: string): CloudFault => new CloudFault('ResourceConflictException', 409, message)
export const invalid = (message: string): CloudFault => new CloudFault('InvalidParameterValueException', 400, message)

/** What one stage's cloud is like. */
export interface CloudOptions {
  account: string
  region: string
  /** `AccountLimit.ConcurrentExecutions`. */
  concurrency: number
  /** Most memory of a function, where the account may not have all; 10,240 unless told. */
  most_memory_mb?: number
  /** Objects the code may come from, `bucket/key`. */
  code: Set<string>
  layers: Set<string>
  /** How many looks something that AWS works on takes. */
  looks: number
  /** How many CreateFunction calls a new role is unknown for. */
  role_delay: number
  /** Answers a call of a function version; throwing is a crash of the function. */
  run(call: { name: string; version: string; environment: Record<string, string>; event: unknown }): Promise<unknown>
}
