import type { JsonObject } from '../../../layers/core/domain/json.ts'
import { ServiceError } from '../aws-json-server.ts'

export interface Endpoint {
  name: string
  config: string
  status: string
  /** Looks at it that still show the passing state. */
  looks_left: number
  next: { status: string; config: string; reason?: string } | undefined
  reason: string | undefined
  weights: Map<string, number>
}

/** Everything the account holds, by name. */
export interface CloudState {
  models: Map<string, JsonObject>
  configs: Map<string, JsonObject>
  endpoints: Map<string, Endpoint>
  components: Map<string, JsonObject & { looks_left?: number }>
  jobs: Map<string, JsonObject>
  training: Map<string, JsonObject>
  /** The account has no quota for Spot instances. */
  no_spot: boolean
  roles: Map<string, { policies: Map<string, string>; known_after: number; input: Record<string, string> }>
  scaling: Map<string, JsonObject>
  policies: Map<string, JsonObject>
  alarms: Map<string, JsonObject>
  log_groups: Map<string, { retention?: number }>
}

export const emptyState = (): CloudState => ({
  models: new Map(),
  configs: new Map(),
  endpoints: new Map(),
  components: new Map(),
  jobs: new Map(),
  training: new Map(),
  no_spot: false,
  roles: new Map(),
  scaling: new Map(),
  policies: new Map(),
  alarms: new Map(),
  log_groups: new Map(),
})

/** What is left, in words; empty when nothing is. */
export const leftovers = (state: CloudState): string[] =>
  Object.entries(state).flatMap(([kind, items]: [string, Map<string, unknown> | boolean]) =>
    typeof items === 'boolean' || kind === 'jobs' || kind === 'training' || kind === 'policies'
      ? []
      : [...items.keys()].map((name) => `${kind} ${name}`),
  )

export const invalid = (message: string): ServiceError => new ServiceError('ValidationException', message)
export const objects = (value: unknown): JsonObject[] => (Array.isArray(value) ? value : [])
/** The service's own pattern for the names of models, endpoints, configurations and components. */
export const checkedName = (value: unknown): string => {
  if (typeof value !== 'string' || !/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(value))
    throw invalid(
      `Value '${String(value)}' failed to satisfy constraint: Member must satisfy regular expression pattern ^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}`,
    )
  return value
}
