import { type Datatype, datatypeNames, isDatatype, type TensorFacts, type WireTensor } from './datatypes.ts'
import { badRequest } from './fault.ts'
import { dataFromBinary, dataFromJson, flattened, nestedShape } from './tensor-data.ts'
import { parseWideJson } from './wide-json.ts'

/** The form the caller used; the answer comes back in the same one. */
export type Form = 'tensors' | 'array' | 'named'

export interface WantedOutput {
  name: string
  binary: boolean
}

/** A call as the model sees it. `inputs` stand in the model's order. */
export interface InferCall {
  form: Form
  id: string | undefined
  parameters: Record<string, unknown> | undefined
  inputs: WireTensor[]
  outputs: WantedOutput[]
  /** Binary-extension calls without an id share this object when their JSON parts are equal; the reply encoder caches on it. */
  layout?: object
}

export interface ModelShape {
  inputs: readonly TensorFacts[]
  outputs: readonly TensorFacts[]
}

type Fields = Record<string, unknown>
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const told = (value: unknown): string =>
  (JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? inner.toString() : inner)) ?? 'nothing').slice(0, 60)

const fieldsOr = (value: unknown, what: string): Fields | undefined => {
  if (value === undefined) return undefined
  if (!isFields(value)) throw badRequest(`${what}: wanted an object, got ${told(value)}`)
  return value
}

/** A tensor of the call before its data is read. */
interface Declared {
  facts: TensorFacts
  shape: number[]
  json: unknown
  binary_bytes: number | undefined
}

/** Checks a tensor against the model before onnxruntime sees it, so that the message can name what was wanted. */
export const checkShape = (facts: TensorFacts, shape: readonly number[]): void => {
  const fits = shape.length === facts.shape.length && facts.shape.every((wanted, i) => wanted === -1 || wanted === shape[i])
  if (!fits) throw badRequest(`input '${facts.name}': wanted shape [${facts.shape}] ${facts.datatype}, got [${shape}]`)
}

const declaredShape = (name: string, shape: unknown): number[] => {
  if (!Array.isArray(shape)) throw badRequest(`input '${name}': wanted "shape" as an array of whole numbers, got ${told(shape)}`)
  let count = 1
  return shape.map((dimension) => {
    if (typeof dimension !== 'number' || !Number.isSafeInteger(dimension) || dimension < 0)
      throw badRequest(`input '${name}': wanted "shape" as an array of whole numbers, got ${told(shape)}`)
    count *= dimension
    if (count > 2 ** 40) throw badRequest(`input '${name}': shape ${told(shape)} is larger than any request can be`)
    return dimension
  })
}

const declared = (model: ModelShape, item: unknown): Declared => {
  if (!isFields(item) || typeof item.name !== 'string')
    throw badRequest(`wanted every input as {"name","shape","datatype","data"}, got ${told(item)}`)
  const name = item.name
  const facts = model.inputs.find((input) => input.name === name)
  if (!facts)
    throw badRequest(
      `input '${name}' is not one of the model's: wanted ${model.inputs.map((input) => `'${input.name}'`).join(', ')}`,
    )
  if (!isDatatype(item.datatype))
    throw badRequest(`input '${name}': wanted a datatype of ${datatypeNames.join(', ')}, got ${told(item.datatype)}`)
  if (item.datatype !== facts.datatype)
    throw badRequest(`input '${name}': wanted datatype ${facts.datatype}, got ${item.datatype}`)
  const shape = declaredShape(name, item.shape)
  checkShape(facts, shape)
  const binary = fieldsOr(item.parameters, `input '${name}' parameters`)?.binary_data_size
  if (binary !== undefined && (typeof binary !== 'number' || !Number.isSafeInteger(binary) || binary < 0))
    throw badRequest(`input '${name}': wanted binary_data_size as a byte count, got ${told(binary)}`)
  if (binary === undefined && item.data === undefined)
    throw badRequest(`input '${name}': wanted "data" or parameters.binary_data_size, got neither`)
  return { facts, shape, json: item.data, binary_bytes: binary }
}

const wantedOutputs = (model: ModelShape, outputs: unknown, binary_default: boolean): WantedOutput[] => {
  if (outputs === undefined) return model.outputs.map(({ name }) => ({ name, binary: binary_default }))
  if (!Array.isArray(outputs)) throw badRequest(`outputs: wanted an array of {"name"}, got ${told(outputs)}`)
  const wanted = outputs.map((item) => {
    const name = isFields(item) ? item.name : undefined
    if (!isFields(item) || typeof name !== 'string')
      throw badRequest(`outputs: wanted every output as {"name"}, got ${told(item)}`)
    if (!model.outputs.some((output) => output.name === name))
      throw badRequest(
        `output '${name}' is not one of the model's: wanted ${model.outputs.map((output) => `'${output.name}'`).join(', ')}`,
      )
    const parameters = fieldsOr(item.parameters, `output '${name}' parameters`)
    if (parameters?.classification !== undefined) throw badRequest(`output '${name}': the classification extension is not served`)
    return { name, binary: typeof parameters?.binary_data === 'boolean' ? parameters.binary_data : binary_default }
  })
  if (new Set(wanted.map(({ name }) => name)).size !== wanted.length)
    throw badRequest('outputs: every output may be asked for once')
  return wanted.length > 0 ? wanted : model.outputs.map(({ name }) => ({ name, binary: binary_default }))
}

const inModelOrder = (model: ModelShape, items: readonly Declared[]): Declared[] =>
  model.inputs.map(({ name }) => {
    const found = items.filter((item) => item.facts.name === name)
    if (found.length !== 1) throw badRequest(`input '${name}': wanted once, got ${found.length} times`)
    return found[0]!
  })

const parsed = (bytes: Uint8Array): unknown => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  try {
    return parseWideJson(text)
  } catch (error) {
    throw badRequest(`body is not JSON: ${error instanceof Error ? error.message.slice(0, 120) : 'unreadable'}`)
  }
}

interface Layout {
  call: Omit<InferCall, 'inputs'>
  /** In the model's order; `at` is where the bytes start in the binary part. */
  slots: (Declared & { at: number })[]
  binary_bytes: number
}

const readLayout = (model: ModelShape, body: Fields): Layout => {
  if (!Array.isArray(body.inputs)) throw badRequest(`inputs: wanted an array of tensors, got ${told(body.inputs)}`)
  const id = body.id
  if (id !== undefined && typeof id !== 'string') throw badRequest(`id: wanted a string, got ${told(id)}`)
  const parameters = fieldsOr(body.parameters, 'parameters')
  const items = body.inputs.map((item) => declared(model, item))
  let at = 0
  const placed = new Map<Declared, number>()
  for (const item of items) {
    placed.set(item, at)
    at += item.binary_bytes ?? 0
  }
  const outputs = wantedOutputs(model, body.outputs, parameters?.binary_data_output === true)
  const slots = inModelOrder(model, items).map((item) => ({ ...item, at: placed.get(item) ?? 0 }))
  return { call: { form: 'tensors', id, parameters, outputs }, slots, binary_bytes: at }
}

const fill = (layout: Layout, binary: Uint8Array): WireTensor[] => {
  if (binary.length !== layout.binary_bytes)
    throw badRequest(`wanted ${layout.binary_bytes} bytes of binary data after the JSON, got ${binary.length}`)
  return layout.slots.map(({ facts: { name, datatype }, shape, json, binary_bytes, at }) => ({
    name,
    datatype,
    shape,
    data:
      binary_bytes === undefined
        ? dataFromJson(name, datatype, shape, json)
        : dataFromBinary(name, datatype, shape, binary.subarray(at, at + binary_bytes)),
  }))
}

/** Layouts by their JSON text: clients repeat the same header with other bytes. Small, bounded, dropped whole when full. */
export type LayoutCache = Map<string, Layout>
const cacheable_bytes = 2048
const cache_entries = 128

/**
 * Reads `POST …/infer`. `json_bytes` is `Inference-Header-Content-Length`, undefined when the whole body is JSON.
 * Fails with 400 naming the member, what was wanted and what came.
 */
export const readInfer = (model: ModelShape, cache: LayoutCache, body: Uint8Array, json_bytes: number | undefined): InferCall => {
  if (json_bytes === undefined) {
    const layout = readLayout(model, fieldsOr(parsed(body), 'body') ?? {})
    return { ...layout.call, inputs: fill(layout, body.subarray(0, 0)) }
  }
  if (json_bytes > body.length)
    throw badRequest(`Inference-Header-Content-Length: wanted at most the body's ${body.length} bytes, got ${json_bytes}`)
  const head = body.subarray(0, json_bytes)
  const key = json_bytes <= cacheable_bytes ? Buffer.from(head.buffer, head.byteOffset, json_bytes).toString('latin1') : undefined
  let layout = key === undefined ? undefined : cache.get(key)
  if (!layout) {
    layout = readLayout(model, fieldsOr(parsed(head), 'body') ?? {})
    const lasting = layout.call.id === undefined && layout.slots.every((slot) => slot.binary_bytes !== undefined)
    if (key !== undefined && lasting) {
      if (cache.size >= cache_entries) cache.clear()
      cache.set(key, layout)
    }
  }
  return { ...layout.call, inputs: fill(layout, body.subarray(json_bytes)), layout: layout.call }
}

const fromNested = (facts: TensorFacts, data: unknown): WireTensor => {
  const shape = nestedShape(facts.name, data)
  checkShape(facts, shape)
  flattened(facts.name, data, shape)
  const datatype: Datatype = facts.datatype
  return { name: facts.name, datatype, shape, data: dataFromJson(facts.name, datatype, shape, data) }
}

/**
 * Reads the bare form, `{"inputs": …}`: protocol tensors, a nested array (models with one input) or `{name: nested array}`.
 * Fails with 400 as `readInfer` does.
 */
export const readBare = (model: ModelShape, cache: LayoutCache, body: Uint8Array, json_bytes: number | undefined): InferCall => {
  if (json_bytes !== undefined) return readInfer(model, cache, body, json_bytes)
  const fields = fieldsOr(parsed(body), 'body')
  const inputs = fields?.inputs
  if (!fields || inputs === undefined)
    throw badRequest('wanted {"inputs": protocol tensors, a nested array, or {name: nested array}}, got no "inputs"')
  if (Array.isArray(inputs) && isFields(inputs[0])) {
    const layout = readLayout(model, fields)
    return { ...layout.call, inputs: fill(layout, body.subarray(0, 0)) }
  }
  const outputs = wantedOutputs(model, fields.outputs, false)
  const id = typeof fields.id === 'string' ? fields.id : undefined
  if (isFields(inputs)) {
    const unknown = Object.keys(inputs).find((name) => !model.inputs.some((input) => input.name === name))
    if (unknown !== undefined)
      throw badRequest(
        `input '${unknown}' is not one of the model's: wanted ${model.inputs.map(({ name }) => `'${name}'`).join(', ')}`,
      )
    const tensors = model.inputs.map((facts) => {
      if (!Object.hasOwn(inputs, facts.name)) throw badRequest(`input '${facts.name}': wanted, got nothing`)
      return fromNested(facts, inputs[facts.name])
    })
    return { form: 'named', id, parameters: undefined, inputs: tensors, outputs }
  }
  const only = model.inputs[0]
  if (!only || model.inputs.length !== 1)
    throw badRequest(
      `a nested array fits models with one input; this one has ${model.inputs.map(({ name }) => `'${name}'`).join(', ')}: send {"inputs": {name: nested array}}`,
    )
  return { form: 'array', id, parameters: undefined, inputs: [fromNested(only, inputs)], outputs }
}
