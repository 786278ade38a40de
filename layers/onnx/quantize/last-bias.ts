import { withOutputs } from '../calibrate/tap.ts'
import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import type { Feeds, TensorValue } from '../evaluate/tensors.ts'
import { makeTensor } from '../graph/build.ts'
import { dropUnused, nameSource } from '../graph/edit.ts'
import { constantTensor, indexGraph, isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { answers } from './measure.ts'

/** Answers that every class is taken to have had besides: what was hardly ever seen hardly moves. */
const BELIEVED = 1
const ROUNDS = 6
/** Of probabilities of all rows, held while the bias is fitted. */
const MOST_BYTES = 192 * 2 ** 20

interface Last {
  node: NodeProto
  input: number
  bias: TensorProto
  /** What the softmax reads, and what it answers. */
  scores: string
  probabilities: string
}

/** A bias per class that is added right before a softmax over the last axis, whose answer is an output. */
function lastBias(model: ModelProto): Last | undefined {
  const index = indexGraph(mainGraph(model), { ir_version: model.ir_version })
  for (const probabilities of index.outputs) {
    const softmax = index.producers.get(probabilities)
    const scores = softmax && isPlain(softmax, 'Softmax') ? (softmax.input[0] ?? '') : ''
    const node = index.producers.get(scores)
    if (!node || !(isPlain(node, 'Add') || isPlain(node, 'Gemm'))) continue
    for (const input of isPlain(node, 'Add') ? [1, 0] : [2]) {
      const bias = constantTensor(index, node.input[input] ?? '')
      if (bias?.data_type === DataType.FLOAT && bias.dims.length === 1) return { node, input, bias, scores, probabilities }
    }
  }
  return undefined
}

/**
 * Moves the last bias of a classifier so that over these rows every class is expected as often as `original` expects it: what is left
 * of rounding, seen from the outputs, is then least (the derivative by that bias of the Kullback–Leibler divergence is that difference).
 * Rounding gone one way turns close decisions one way, which is what costs correct answers. Changes `candidate` in place; answers whether it had such
 * a bias. Runs both models in this process, which for foreign ones must be one that may die.
 */
export async function fitLastBias(candidate: ModelProto, original: ModelProto, samples: readonly Feeds[]): Promise<boolean> {
  const [last, before] = [lastBias(candidate), lastBias(original)]
  if (!last || !before || samples.length === 0) return false
  const classes = last.bias.dims[0] ?? 0
  const wanted = new Float64Array(classes)
  await answers(withOutputs(original, [before.probabilities]), samples, (found) => {
    const values = floatsIn(found[before.probabilities])
    if (values.length % classes === 0) for (let at = 0; at < values.length; at++) wanted[at % classes]! += values[at]!
  })
  const scores: Float32Array[] = []
  let room = MOST_BYTES
  await answers(withOutputs(candidate, [last.scores]), samples, (found) => {
    const values = floatsIn(found[last.scores])
    room -= values.byteLength
    if (room >= 0) scores.push(values)
  })
  if (room < 0) return false
  const moves = fitted(scores, wanted)
  const name = nameSource(candidate)(`${last.bias.name || last.scores}_fitted`)
  const bias = tensorFloats(last.bias).map((value, at) => value + moves[at]!)
  mainGraph(candidate).initializer.push(makeTensor(name, last.bias.dims, Float32Array.from(bias)))
  last.node.input[last.input] = name
  dropUnused(candidate)
  return true
}

const floatsIn = (value: TensorValue | undefined): Float32Array =>
  value?.type === 'float32' && 'bytes' in value ? new Float32Array(value.bytes.slice().buffer) : new Float32Array(0)

/** How far each class's score must move, by repeated scaling: the logarithm of wanted over expected, until both agree. */
function fitted(scores: readonly Float32Array[], wanted: Float64Array): Float64Array {
  const classes = wanted.length
  const moves = new Float64Array(classes)
  const weights = new Float64Array(classes)
  for (let round = 0; round < ROUNDS; round++) {
    const expected = new Float64Array(classes)
    for (const row of scores)
      for (let from = 0; from + classes <= row.length; from += classes) {
        let highest = Number.NEGATIVE_INFINITY
        for (let at = 0; at < classes; at++) highest = Math.max(highest, row[from + at]! + moves[at]!)
        let sum = 0
        for (let at = 0; at < classes; at++) sum += weights[at] = Math.exp(row[from + at]! + moves[at]! - highest)
        for (let at = 0; at < classes; at++) expected[at]! += weights[at]! / sum
      }
    for (let at = 0; at < classes; at++) moves[at]! += Math.log((wanted[at]! + BELIEVED) / (expected[at]! + BELIEVED))
  }
  return moves
}
