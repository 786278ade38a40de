import { type NumericDatatype, numericTypes, type WireTensor } from './datatypes.ts'
import type { InferCall } from './request.ts'
import { binaryFromData, jsonValues } from './tensor-data.ts'
import { flatJson, nestedJson } from './wide-json.ts'

/** An encoded answer: the parts in order; `json_bytes` is set when binary data follows the JSON. */
export interface EncodedReply {
  parts: Uint8Array[]
  json_bytes: number | undefined
}

interface ModelName {
  name: string
  version: string
}

interface Cached {
  signature: string
  head: Buffer
}
const heads = new WeakMap<object, Cached>()

const binarySize = (tensor: WireTensor, bytes: Uint8Array): number =>
  tensor.datatype === 'BYTES'
    ? bytes.length
    : tensor.shape.reduce((size, d) => size * d, numericTypes[tensor.datatype satisfies NumericDatatype].bytes)

const tensorText = (tensor: WireTensor, binary: Uint8Array | undefined): string => {
  const start = `{"name":${JSON.stringify(tensor.name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape.join(',')}]`
  return binary
    ? `${start},"parameters":{"binary_data_size":${binarySize(tensor, binary)}}}`
    : `${start},"data":${flatJson(jsonValues(tensor))}}`
}

const protocolHead = (model: ModelName, call: InferCall, tensors: readonly string[]): Buffer => {
  const id = call.id === undefined ? '' : `,"id":${JSON.stringify(call.id)}`
  return Buffer.from(
    `{"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)}${id},"outputs":[${tensors.join(',')}]}`,
  )
}

const asTensors = (
  model: ModelName,
  call: InferCall,
  chosen: readonly { tensor: WireTensor; binary: boolean }[],
): EncodedReply => {
  const parts = chosen.map(({ tensor, binary }) => (binary ? binaryFromData(tensor.data) : undefined))
  const blobs = parts.filter((part) => part !== undefined)
  const all_binary = blobs.length === chosen.length
  const signature =
    all_binary && call.layout
      ? chosen.map(({ tensor }) => `${tensor.shape}`).join('|') + blobs.map((blob) => `|${blob.length}`).join('')
      : ''
  const known = signature && call.layout ? heads.get(call.layout) : undefined
  const head =
    known?.signature === signature && known
      ? known.head
      : protocolHead(
          model,
          call,
          chosen.map(({ tensor }, i) => tensorText(tensor, parts[i])),
        )
  if (signature && call.layout && !known) heads.set(call.layout, { signature, head })
  return { parts: [head, ...blobs], json_bytes: blobs.length > 0 ? head.length : undefined }
}

/** Encodes the outputs the caller asked for, in the form it used. `outputs` holds every output of the model. */
export const encodeReply = (model: ModelName, call: InferCall, outputs: readonly WireTensor[]): EncodedReply => {
  const chosen = call.outputs.flatMap(({ name, binary }) => {
    const tensor = outputs.find((output) => output.name === name)
    return tensor ? [{ tensor, binary }] : []
  })
  if (call.form === 'tensors') return asTensors(model, call, chosen)
  const nested = chosen.map(({ tensor }) => ({ name: tensor.name, text: nestedJson(jsonValues(tensor), tensor.shape) }))
  const only = nested[0]
  const text =
    call.form === 'array' && nested.length === 1 && only
      ? only.text
      : `{${nested.map((output) => `${JSON.stringify(output.name)}:${output.text}`).join(',')}}`
  return { parts: [Buffer.from(`{"outputs":${text}}`)], json_bytes: undefined }
}
