import { PlatformError } from '../../core/contract/errors.ts'
import { type Json, JsonValue } from '../../core/domain/json.ts'
import type { Inspection } from '../../core/domain/model.ts'

/** How the caller wrote its inputs; the outputs come back the same way. */
export type Form = 'tensors' | 'array' | 'named'

const bad = (detail: string): PlatformError => new PlatformError('malformed_body', detail)
const isFields = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const parseJson = (bytes: Uint8Array): Json => {
  try {
    return JsonValue.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (error) {
    throw new PlatformError('malformed_body', 'The body is no JSON', { cause: error })
  }
}

/** Which form a bare body `{"inputs": …}` is in. Fails with `malformed_body`. */
export const formOf = (body: Json): { form: Form; inputs: Json } => {
  const inputs = isFields(body) ? body.inputs : undefined
  if (inputs === undefined) throw bad('wanted {"inputs": protocol tensors, a nested array, or {name: nested array}}')
  if (isFields(inputs)) return { form: 'named', inputs }
  return { form: Array.isArray(inputs) && isFields(inputs[0]) ? 'tensors' : 'array', inputs }
}

/**
 * A bare body as a request of the Open Inference Protocol, datatypes from the inspection. Numbers pass through JavaScript's own, so
 * integers beyond 2^53 want the protocol's binary form. Fails with `malformed_body` naming the input.
 */
export const toProtocol = (body: Json, inspection: Inspection | null): { form: Form; request: Json } => {
  const { form, inputs } = formOf(body)
  if (form === 'tensors') return { form, request: body }
  const known = inspection?.inputs ?? []
  const first = known[0]
  if (form === 'array' && (first === undefined || known.length !== 1))
    throw bad(
      `a nested array fits models with one input; this one has ${known.map(({ name }) => name).join(', ') || 'unknown ones'}`,
    )
  const named = form === 'array' && first !== undefined ? { [first.name]: inputs } : isFields(inputs) ? inputs : {}
  const unknown = Object.keys(named).find((name) => !known.some((input) => input.name === name))
  if (unknown !== undefined)
    throw bad(`input '${unknown}' is not one of the model's: ${known.map(({ name }) => name).join(', ')}`)
  const tensors = known.map(({ name, datatype }) => {
    const value = named[name]
    if (value === undefined) throw bad(`input '${name}': wanted, got nothing`)
    return { name, datatype, shape: shapeOf(value), data: flat(value) }
  })
  return { form, request: { inputs: tensors } }
}

const shapeOf = (value: Json): number[] => (Array.isArray(value) ? [value.length, ...shapeOf(value[0] ?? null)] : [])
const flat = (value: Json): Json[] => (Array.isArray(value) ? value.flatMap(flat) : [value])

/** A reply of the protocol in the form the caller used; anything else (an error) as it is. */
export const fromProtocol = (reply: Json, form: Form): Json => {
  if (form === 'tensors' || !isFields(reply) || !Array.isArray(reply.outputs)) return reply
  const outputs = reply.outputs.flatMap((output) => (isFields(output) && typeof output.name === 'string' ? [output] : []))
  const nested = outputs.map(({ name, shape, data }) => [
    String(name),
    nest(numbers(shape), Array.isArray(data) ? flat(data) : []),
  ])
  const only = nested[0]
  return { outputs: form === 'array' && nested.length === 1 && only ? (only[1] ?? null) : Object.fromEntries(nested) }
}

const numbers = (shape: Json | undefined): number[] =>
  Array.isArray(shape) ? shape.flatMap((size) => (typeof size === 'number' ? [size] : [])) : []

const nest = (shape: readonly number[], data: Json[]): Json => {
  const [size, ...rest] = shape
  if (size === undefined) return data[0] ?? null
  const step = rest.reduce((product, one) => product * one, 1)
  return Array.from({ length: size }, (_, at) => nest(rest, data.slice(at * step, (at + 1) * step)))
}
