import { DataType } from '../codec/data-types.ts'
import type { NodeProto, TensorProto, ValueInfoProto } from '../codec/schema.ts'
import type { TensorValue } from '../evaluate/tensors.ts'
import { int64Tensor, intAttr, makeNode, makeTensor, makeValueInfo, scalarTensor } from '../graph/build.ts'
import { product } from '../inspect/shape-arithmetic.ts'

/**
 * What training minimises, over one output of the model (classes on its last axis, not yet normalised).
 * `distillation` is α·T²·KL(teacher ‖ student), both softened by T, plus (1 − α)·cross-entropy with the labels: Hinton, Vinyals
 * and Dean, arXiv 1503.02531; the factor T² keeps gradients comparable over temperatures. `mse` compares with the teacher's values.
 */
export type LossSpec = { kind: 'cross_entropy' } | { kind: 'mse' } | { kind: 'distillation'; temperature: number; alpha: number }

/** Inputs the loss adds to the graph. Labels are INT64, one per row; teacher values have the output's shape. */
export const LABELS = 'train/labels'
export const TEACHER = 'train/teacher'
export const LOSS = 'train/loss'

export interface LossParts {
  nodes: NodeProto[]
  initializers: TensorProto[]
  inputs: ValueInfoProto[]
  /** Stand-ins of the right shape, for finding shapes. */
  feeds: Record<string, TensorValue>
}

/** What a loss wants besides the model's inputs. */
export const lossNeeds = (loss: LossSpec): { labels: boolean; teacher: boolean } => ({
  labels: loss.kind === 'cross_entropy' || (loss.kind === 'distillation' && loss.alpha < 1),
  teacher: loss.kind === 'mse' || (loss.kind === 'distillation' && loss.alpha > 0),
})

const named = (part: string): string => `train/loss/${part}`

/** Nodes that compute `LOSS` (a scalar) from the output of this name and shape. */
export const lossParts = (loss: LossSpec, output: string, shape: readonly number[]): LossParts => {
  const needs = lossNeeds(loss)
  const parts: LossParts = { nodes: [], initializers: [], inputs: [], feeds: {} }
  const rows = product(shape.slice(0, -1))
  if (needs.labels) {
    const dims = shape.slice(0, -1)
    parts.inputs.push(makeValueInfo(LABELS, DataType.INT64, dims))
    parts.feeds[LABELS] = { type: 'int64', dims: [...dims], bytes: new Uint8Array(8 * rows) }
  }
  if (needs.teacher) {
    parts.inputs.push(makeValueInfo(TEACHER, DataType.FLOAT, shape))
    parts.feeds[TEACHER] = { type: 'float32', dims: [...shape], bytes: new Uint8Array(4 * product(shape)) }
  }
  if (loss.kind === 'mse') addSquaredError(parts, output, product(shape))
  else if (loss.kind === 'cross_entropy') addCrossEntropy(parts, output, shape, 1, LOSS)
  else addDistillation(parts, output, shape, loss)
  return parts
}

const total = (parts: LossParts, value: string, factor: number, result: string): void => {
  const [factor_name, sum] = [`${result}/factor`, `${result}/sum`]
  parts.initializers.push(scalarTensor(factor_name, factor))
  parts.nodes.push(makeNode('ReduceSum', [value], [sum], { attributes: [intAttr('keepdims', 0)] }))
  parts.nodes.push(makeNode('Mul', [sum, factor_name], [result]))
}

const addSquaredError = (parts: LossParts, output: string, count: number): void => {
  parts.nodes.push(makeNode('Sub', [output, TEACHER], [named('error')]))
  parts.nodes.push(makeNode('Mul', [named('error'), named('error')], [named('square')]))
  total(parts, named('square'), 1 / count, LOSS)
}

const lastAxis = intAttr('axis', -1)

/** −Σ log softmax at the label ÷ rows, times `weight`. */
const addCrossEntropy = (parts: LossParts, output: string, shape: readonly number[], weight: number, result: string): void => {
  const rows = product(shape.slice(0, -1))
  parts.initializers.push(int64Tensor(named('classes'), [shape.at(-1)!]), makeTensor(named('off_on'), [2], Float32Array.of(0, 1)))
  parts.nodes.push(
    makeNode('LogSoftmax', [output], [named('log_chances')], { attributes: [lastAxis] }),
    makeNode('OneHot', [LABELS, named('classes'), named('off_on')], [named('one_hot')], { attributes: [lastAxis] }),
    makeNode('Mul', [named('log_chances'), named('one_hot')], [named('at_label')]),
  )
  total(parts, named('at_label'), -weight / rows, result)
}

/** The teacher's own entropy is part of the divergence: the loss is 0 when student and teacher agree. */
const addDivergence = (parts: LossParts, output: string, rows: number, loss: { temperature: number; alpha: number }): void => {
  parts.initializers.push(scalarTensor(named('coldness'), 1 / loss.temperature))
  parts.nodes.push(
    makeNode('Mul', [TEACHER, named('coldness')], [named('soft_teacher')]),
    makeNode('Softmax', [named('soft_teacher')], [named('wanted')], { attributes: [lastAxis] }),
    makeNode('LogSoftmax', [named('soft_teacher')], [named('log_wanted')], { attributes: [lastAxis] }),
    makeNode('Mul', [output, named('coldness')], [named('soft_output')]),
    makeNode('LogSoftmax', [named('soft_output')], [named('log_got')], { attributes: [lastAxis] }),
    makeNode('Sub', [named('log_wanted'), named('log_got')], [named('log_ratio')]),
    makeNode('Mul', [named('wanted'), named('log_ratio')], [named('divergences')]),
  )
  const factor = (loss.alpha * loss.temperature ** 2) / rows
  total(parts, named('divergences'), factor, loss.alpha < 1 ? named('divergence') : LOSS)
}

const addDistillation = (
  parts: LossParts,
  output: string,
  shape: readonly number[],
  loss: { temperature: number; alpha: number },
): void => {
  if (loss.alpha > 0) addDivergence(parts, output, product(shape.slice(0, -1)), loss)
  if (loss.alpha < 1) addCrossEntropy(parts, output, shape, 1 - loss.alpha, loss.alpha > 0 ? named('hard') : LOSS)
  if (loss.alpha > 0 && loss.alpha < 1) parts.nodes.push(makeNode('Add', [named('divergence'), named('hard')], [LOSS]))
}
