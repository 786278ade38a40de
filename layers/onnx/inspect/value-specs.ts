import { dataTypeName, protocolDatatype } from '../codec/data-types.ts'
import type { Dimension, GraphProto, ModelProto, TensorType, TypeProto, ValueInfoProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { inferShapes } from './infer-shapes.ts'
import type { TensorSpec } from './inspection.ts'

const dimensionOf = (dimension: Dimension): number | string | null => {
  if (dimension.dim_value !== undefined) return dimension.dim_value < 0 ? null : dimension.dim_value
  return dimension.dim_param ? dimension.dim_param : null
}

const tensorText = (kind: string, tensor: TensorType): string => `${kind}(${dataTypeName(tensor.elem_type ?? 0).toLowerCase()})`

/** A type that is no tensor, in ONNX's own notation: `seq(tensor(float))`, `map(int64,tensor(float))`. */
const typeText = (type: TypeProto | undefined): string => {
  if (type?.tensor_type) return tensorText('tensor', type.tensor_type)
  if (type?.sparse_tensor_type) return tensorText('sparse_tensor', type.sparse_tensor_type)
  if (type?.sequence_type) return `seq(${typeText(type.sequence_type.elem_type)})`
  if (type?.optional_type) return `optional(${typeText(type.optional_type.elem_type)})`
  if (type?.map_type)
    return `map(${dataTypeName(type.map_type.key_type ?? 0).toLowerCase()},${typeText(type.map_type.value_type)})`
  return 'unknown'
}

const specOf = (value: ValueInfoProto): TensorSpec => {
  const name = value.name ?? ''
  const tensor = value.type?.tensor_type
  if (!tensor) return { name, datatype: typeText(value.type), shape: [] }
  return { name, datatype: protocolDatatype(tensor.elem_type ?? 0), shape: tensor.shape?.dim.map(dimensionOf) ?? [] }
}

/** Inputs a caller must supply (stored weights that older files list among them are left out), and outputs. */
export const valueSpecs = (graph: GraphProto): { inputs: TensorSpec[]; outputs: TensorSpec[]; notes: string[] } => {
  const stored = new Set(graph.initializer.map((tensor) => tensor.name))
  const inputs = graph.input.filter((value) => !stored.has(value.name))
  if (graph.output.length === 0) throw new OnnxFault('not_a_model', 'The graph has no outputs')
  const unknown = [...inputs, ...graph.output].filter((value) => value.type?.tensor_type && !value.type.tensor_type.shape)
  const notes = unknown.map((value) => `"${value.name ?? ''}" declares no shape, not even how many dimensions it has`)
  return { inputs: inputs.map(specOf), outputs: graph.output.map(specOf), notes }
}

/** Sizes for the other free dimensions when the batch is looked for: one of them fits most convolutional models. */
const trialSizes = [1, 64, 224, 320]

/**
 * Requests can be joined along the first dimension: it is free in every input and output, and it is the same one. Exporters that
 * name it alike everywhere are believed; else shapes are inferred with two batch sizes. When in doubt, no: joining requests of a
 * model whose outputs begin with another dimension (time, boxes) would mix callers up.
 */
export const isBatchable = (model: ModelProto, inputs: readonly TensorSpec[], outputs: readonly TensorSpec[]): boolean => {
  const specs = [...inputs, ...outputs]
  if (inputs.length === 0 || specs.some((spec) => spec.shape.length === 0 || typeof spec.shape[0] === 'number')) return false
  const symbols = new Set(specs.map((spec) => spec.shape[0]))
  if (symbols.size === 1 && !symbols.has(null)) return true
  const follows = (batch: number, size: number): boolean => {
    const facts = inferShapes(model, (_input, axis) => (axis === 0 ? batch : size))
    return outputs.every((output) => facts.get(output.name)?.shape?.[0] === batch)
  }
  return trialSizes.some((size) => follows(2, size) && follows(3, size))
}
