import type * as z from 'zod'
import { type FieldError, PlatformError } from '../../layers/core/contract/errors.ts'

type Part = 'params' | 'query' | 'body'

/** Parses one part of a request; every wrong member is named with what was wanted. */
export const validate = (schema: z.ZodType | undefined, value: unknown, part: Part): unknown => {
  if (schema === undefined) return undefined
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.flatMap(inside).map((issue) => fieldError(issue, value, part))
  const first = errors[0]
  throw new PlatformError(
    'invalid_request',
    `${errors.length === 1 ? 'One value is' : `${errors.length} values are`} not as wanted: ${first?.pointer} ${first?.detail}`,
    { errors },
  )
}

/** Of a union the members of the one form that the value has the kind of: else only the whole could be named. */
const inside = (issue: z.core.$ZodIssue): z.core.$ZodIssue[] => {
  if (issue.code !== 'invalid_union') return [issue]
  const meant = issue.errors.filter((errors) => errors.every(({ path }) => path.length > 0))
  return meant.length === 1 && meant[0] !== undefined
    ? meant[0].flatMap(inside).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
    : [issue]
}

const fieldError = (issue: z.core.$ZodIssue, value: unknown, part: Part): FieldError => {
  const path = issue.path.map(String)
  const pointer = part === 'body' ? `/${path.map(escapePointer).join('/')}` : `${part}/${path.join('/')}`
  return { pointer, detail: `${issue.message}; got ${shown(path.reduce<unknown>(member, value))}` }
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined

/** RFC 6901. */
const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')

/** Values are shown short and never when they might be a secret: strings only up to 40 characters, passwords not at all. */
const shown = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return `a string of ${value.length} characters`
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
