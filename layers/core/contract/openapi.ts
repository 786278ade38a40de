import * as z from 'zod'
import { JsonValue } from '../domain/json.ts'
import { errorTable } from './errors.ts'
import type { RouteRow } from './route-row.ts'

type Row = RouteRow & { id: string }
type Schema = Record<string, unknown>

const problem: Schema = {
  type: 'object',
  description: 'RFC 9457 problem document',
  required: ['type', 'title', 'status', 'detail', 'code', 'errors', 'request_id'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string' },
    code: { type: 'string', enum: errorTable.map((error) => error.code) },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: { pointer: { type: 'string' }, detail: { type: 'string' } },
      },
    },
    request_id: { type: 'string' },
  },
}
const inferenceError: Schema = {
  type: 'object',
  required: ['error', 'code'],
  properties: { error: { type: 'string' }, code: { type: 'string' } },
}

/** The route table as an OpenAPI 3.1 document; nothing in it is written anywhere else. */
export const openApi = (rows: readonly Row[], info: { version: string; public_url: string }): Schema => ({
  openapi: '3.1.0',
  info: {
    title: 'AI Deploy',
    version: info.version,
    summary: 'The cost-first platform for putting AI models into production',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: info.public_url }],
  tags: [...new Set(rows.map((row) => row.function))].map((name) => ({ name })),
  paths: paths(rows),
  components: {
    schemas: { ...components(rows), Problem: problem, InferenceError: inferenceError },
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', description: 'A token of POST /auth/token, or an API key' },
      api_key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
    },
  },
})

const pascal = (id: string): string => id.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase())

const components = (rows: readonly Row[]): Record<string, Schema> => ({
  ...named(rows, 'Request', 'body', 'input'),
  ...named(rows, 'Reply', 'reply', 'output'),
})

/** One component per row and side. The registry makes zod refer by `#/components/schemas/…`; plain conversion would emit `#/$defs`. */
const named = (rows: readonly Row[], suffix: string, part: 'body' | 'reply', io: 'input' | 'output'): Record<string, Schema> => {
  const registry = z.registry<{ id: string }>()
  registry.add(JsonValue, { id: 'JsonValue' })
  const names = new Map<string, z.ZodType>()
  for (const row of rows) {
    const schema = row[part]
    // Two rows may share one schema instance, which the registry knows by one id only: the second gets a wrapper of its own.
    if (schema !== undefined && schema !== JsonValue) names.set(pascal(row.id) + suffix, schema.clone())
  }
  for (const [id, schema] of names) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `#/components/schemas/${id}`, io, unrepresentable: 'any' })
  return Object.fromEntries(Object.entries(schemas).map(([name, { $id, $schema, ...schema }]) => [name, schema]))
}

const paths = (rows: readonly Row[]): Record<string, Schema> => {
  const all: Record<string, Schema> = {}
  for (const row of rows) {
    const path = row.path.replace('+}', '}')
    all[path] = { ...all[path], [row.method.toLowerCase()]: operation(row) }
  }
  return all
}

const operation = (row: Row): Schema => ({
  operationId: row.id,
  tags: [row.function],
  summary: row.summary,
  ...(row.description === undefined ? {} : { description: row.description }),
  parameters: [...parameters(row, 'path'), ...parameters(row, 'query')],
  ...(row.body === undefined && row.accepts === undefined
    ? {}
    : { requestBody: { required: true, content: requestContent(row) } }),
  responses: {
    [row.status]: {
      description: 'Success',
      content: {
        [row.replies_with ?? 'application/json']: {
          schema: row.replies_with ? { type: 'string' } : reference(row, 'reply', 'Reply'),
        },
      },
    },
    default: errorResponse(row),
  },
  security:
    row.role === 'anonymous' || row.role === 'signed_url'
      ? []
      : [{ bearer: [] }, { api_key: [] }, ...(row.role === 'endpoint' ? [{}] : [])],
  'x-role': row.role,
  'x-action': row.action,
})

const errorResponse = (row: Row): Schema =>
  row.surface === 'open-inference'
    ? { description: 'Error', content: { 'application/json': { schema: { $ref: '#/components/schemas/InferenceError' } } } }
    : { description: 'Error', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } }

const reference = (row: Row, part: 'body' | 'reply', suffix: string): Schema => {
  if (row[part] === undefined) return {}
  return { $ref: `#/components/schemas/${row[part] === JsonValue ? 'JsonValue' : pascal(row.id) + suffix}` }
}

const requestContent = (row: Row): Schema =>
  Object.fromEntries(
    (row.accepts ?? ['application/json']).map((type) => [
      type,
      { schema: type === 'application/json' ? reference(row, 'body', 'Request') : bodyOf(type) },
    ]),
  )

const bodyOf = (type: string): Schema =>
  type === 'multipart/form-data'
    ? {
        type: 'object',
        required: ['name', 'framework', 'version', 'file'],
        properties: {
          name: { type: 'string' },
          framework: { type: 'string' },
          version: { type: 'string' },
          metadata: { type: 'string', description: 'A JSON object' },
          file: { type: 'string', format: 'binary' },
        },
      }
    : { type: 'string', format: 'binary' }

const parameters = (row: Row, where: 'path' | 'query'): Schema[] => {
  const schema = where === 'path' ? row.params : row.query
  if (schema === undefined) return []
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return Object.entries(properties).map(([name, type]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: type,
  }))
}
