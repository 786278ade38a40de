import { type Datatype, elementCount, type NumericDatatype, numericTypes, type WireTensor } from './datatypes.ts'
import { badRequest } from './fault.ts'

/** Deeper nesting than any tensor has; keeps hostile JSON from exhausting the stack. */
const maxRank = 32

/** The lengths of nested arrays along their first elements. `[[1,2],[3,4]]` → [2,2]; a lone value → []. */
export const nestedShape = (name: string, data: unknown): number[] => {
  const shape: number[] = []
  for (let level = data; Array.isArray(level); level = level[0]) {
    if (shape.length === maxRank) throw badRequest(`input '${name}': wanted at most ${maxRank} levels of nesting`)
    shape.push(level.length)
  }
  return shape
}

/** All leaves in row-major order. With `shape` the nesting must be regular. */
export const flattened = (name: string, data: unknown, shape?: readonly number[]): unknown[] => {
  if (Array.isArray(data) && !Array.isArray(data[0]) && (shape === undefined || shape.length === 1)) return data
  const leaves: unknown[] = []
  const walk = (value: unknown, depth: number): void => {
    if (!Array.isArray(value)) {
      if (shape !== undefined && depth !== shape.length)
        throw badRequest(`input '${name}': wanted ${shape.length} levels of nesting, got ${depth}`)
      leaves.push(value)
      return
    }
    if (depth === maxRank) throw badRequest(`input '${name}': wanted at most ${maxRank} levels of nesting`)
    if (shape !== undefined && value.length !== shape[depth])
      throw badRequest(
        `input '${name}': ragged array, wanted ${shape[depth] ?? 'no further level'} elements at level ${depth + 1}, got ${value.length}`,
      )
    for (const item of value) walk(item, depth + 1)
  }
  walk(data, 0)
  return leaves
}

const told = (value: unknown): string =>
  typeof value === 'bigint' ? value.toString() : (JSON.stringify(value) ?? String(value)).slice(0, 40)
const wrongElement = (name: string, datatype: Datatype, index: number, value: unknown): never => {
  throw badRequest(`input '${name}': wanted ${datatype} values, got ${told(value)} at position ${index}`)
}

const numbers = (name: string, datatype: NumericDatatype, leaves: readonly unknown[]): Uint8Array => {
  const { bytes, kind, min, max, view } = numericTypes[datatype]
  if (kind === 'half')
    throw badRequest(`input '${name}': FP16 has no JSON form; send it with the binary extension (binary_data_size)`)
  const out = new Uint8Array(leaves.length * bytes)
  const target = view(out)
  for (let i = 0; i < leaves.length; i++) {
    const value = leaves[i]
    if (kind === 'bigint') {
      const wide =
        typeof value === 'bigint' ? value : typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined
      const fits = wide !== undefined && (datatype === 'INT64' ? BigInt.asIntN(64, wide) : BigInt.asUintN(64, wide)) === wide
      if (!fits) wrongElement(name, datatype, i, value)
      else if (target instanceof BigInt64Array || target instanceof BigUint64Array) target[i] = wide
    } else if (target instanceof BigInt64Array || target instanceof BigUint64Array) continue
    else if (typeof value === 'number' && (kind === 'float' || (Number.isInteger(value) && value >= min && value <= max)))
      target[i] = value
    else if (kind === 'bool' && typeof value === 'boolean') target[i] = value ? 1 : 0
    else if (kind === 'float' && typeof value === 'bigint') target[i] = Number(value)
    else wrongElement(name, datatype, i, value)
  }
  return out
}

/** Tensor data from JSON, flat or nested. Fails with 400 naming the tensor, what was wanted and what came. */
export const dataFromJson = (
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  data: unknown,
): Uint8Array | string[] => {
  const leaves = flattened(name, data)
  const wanted = elementCount(shape)
  if (leaves.length !== wanted) throw badRequest(`input '${name}': shape [${shape}] wants ${wanted} values, got ${leaves.length}`)
  if (datatype !== 'BYTES') return numbers(name, datatype, leaves)
  return leaves.map((value, index) => (typeof value === 'string' ? value : wrongElement(name, datatype, index, value)))
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Tensor data of the binary extension: raw little-endian numbers, or for BYTES each element as u32 length and bytes. */
export const dataFromBinary = (
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  bytes: Uint8Array,
): Uint8Array | string[] => {
  const count = elementCount(shape)
  if (datatype !== 'BYTES') {
    const wanted = count * numericTypes[datatype].bytes
    if (bytes.length !== wanted)
      throw badRequest(
        `input '${name}': ${datatype} shape [${shape}] wants ${wanted} bytes, got binary_data_size ${bytes.length}`,
      )
    return bytes
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  let at = 0
  while (at + 4 <= bytes.length) {
    const end = at + 4 + view.getUint32(at, true)
    if (end > bytes.length) break
    try {
      texts.push(utf8.decode(bytes.subarray(at + 4, end)))
    } catch {
      throw badRequest(`input '${name}': element ${texts.length} is not UTF-8 text, which the model's string tensors need`)
    }
    at = end
  }
  if (at !== bytes.length || texts.length !== count)
    throw badRequest(
      `input '${name}': wanted ${count} length-prefixed elements in ${bytes.length} bytes, got ${texts.length} ending at byte ${at}`,
    )
  return texts
}

/** Bytes of the binary extension for a tensor. */
export const binaryFromData = (data: Uint8Array | string[]): Uint8Array => {
  if (data instanceof Uint8Array) return data
  const parts: Buffer[] = []
  for (const text of data) {
    const bytes = Buffer.from(text)
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32LE(bytes.length)
    parts.push(length, bytes)
  }
  return Buffer.concat(parts)
}

/** Values for JSON. FP16 has no JSON form: 400 saying how to ask for it. */
export const jsonValues = (tensor: WireTensor): ArrayLike<number | bigint | boolean | string> => {
  if (!(tensor.data instanceof Uint8Array) || tensor.datatype === 'BYTES')
    return tensor.data instanceof Uint8Array ? [] : tensor.data
  if (tensor.datatype === 'FP16')
    throw badRequest(`output '${tensor.name}': FP16 has no JSON form; ask for it with {"parameters":{"binary_data":true}}`)
  const type = numericTypes[tensor.datatype]
  const values = type.view(aligned(tensor.data, type.bytes))
  return type.kind === 'bool' ? Array.from(tensor.data, (value) => value !== 0) : values
}

/** The same bytes at an offset the element size divides; a copy only where needed. */
export const aligned = (bytes: Uint8Array, element_bytes: number): Uint8Array =>
  bytes.byteOffset % element_bytes === 0 ? bytes : new Uint8Array(bytes)
