import * as z from 'zod'
import { type RouteId, routeRows } from '../../layers/core/contract/routes.ts'

/** For every member a schema knows, one value of a wrong type, made from the schema itself. */
export interface WrongValue {
  /** RFC 6901. */
  pointer: string
  body: unknown
}

const Node = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
})

/** Of every alternative, however deep they are nested. */
const typesOf = (schema: unknown): unknown[] => {
  const { type, anyOf = [] } = Node.parse(schema)
  return [type, ...anyOf.flatMap(typesOf)].flat()
}

const wrongFor = (schema: unknown): unknown => {
  const node = Node.parse(schema)
  const types = typesOf(schema)
  if (node.enum !== undefined) return 'no member of this enumeration'
  return types.includes('string') ? 12_345 : 'neither number nor object'
}

const walk = (schema: unknown, at: string[]): { path: string[]; value: unknown }[] => {
  const node = Node.parse(schema)
  const option = (node.anyOf ?? []).find((one) => Node.parse(one).properties !== undefined)
  const { properties = {}, items } = option === undefined ? node : Node.parse(option)
  const below = Object.entries(properties).flatMap(([name, member]) => walk(member, [...at, name]))
  const inside = items === undefined ? [] : walk(items, [...at, '0'])
  return [{ path: at, value: wrongFor(schema) }, ...below, ...inside]
}

const nested = (path: string[], value: unknown): unknown => {
  const [first, ...rest] = path
  if (first === undefined) return value
  return first === '0' ? [nested(rest, value)] : { [first]: nested(rest, value) }
}

export const wrongValues = (schema: z.ZodType): WrongValue[] =>
  walk(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), []).map(({ path, value }) => ({
    pointer: `/${path.join('/')}`,
    body: nested(path, value),
  }))

/** A row's path with its variables filled in. */
export const fill = (path: string, values: Record<string, string>): string =>
  path.replace(/\{(.+?)\+?\}/g, (_, name: string) => values[name] ?? 'unknown')

export const variables = (path: string): string[] => [...path.matchAll(/\{(.+?)\+?\}/g)].map((match) => match[1] ?? '')

export const row = (id: RouteId) => {
  const found = routeRows.find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(`no row ${id}`)
  return found
}

/** A body that passes the row's schema, for requests whose point lies elsewhere. */
export const plainBodies: Partial<Record<RouteId, unknown>> = {
  'issue-token': { username: 'nobody', password: 'not the password' },
  'change-password': { current_password: 'not the password', new_password: 'another password' },
  'create-organization': { name: 'other', admin: { username: 'other-admin', password: 'other password' } },
  'create-user': { username: 'someone', password: 'some password' },
  'update-user': { role: 'viewer' },
  'create-api-key': { name: 'key' },
  'upload-model': { name: 'm', framework: 'onnx', version: '1', size_bytes: 10 },
  'complete-upload': { parts: [{ number: 1, etag: 'x' }] },
  'update-model': { metadata: {} },
  'optimize-model': { method: 'quantization' },
  'upload-dataset': { name: 'rows', size_bytes: 10 },
  'complete-dataset-upload': { parts: [{ number: 1, etag: 'x' }] },
  'update-dataset': { keep: true },
  'create-deployment': { name: 'd', model_id: 'unknown', deployment_type: 'serverless' },
  'update-deployment': { metadata: {} },
  'rollback-deployment': { revision: 1 },
  'create-report-schedule': { name: 'costs', recipients: ['ada@example.com'] },
  'update-report-schedule': { name: 'costs', recipients: ['ada@example.com'] },
  infer: { inputs: [1] },
  'infer-post': { inputs: [] },
}
