import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { attributeOf, intAttribute } from '../graph/attributes.ts'
import { isPlain } from '../graph/index-graph.ts'
import { opsetOf } from '../graph/opsets.ts'
import { mainGraph } from '../graph/walk.ts'

/** What of a model's output is compared: class scores before they are normalised, or plain values. */
export interface Scores {
  name: string
  kind: 'scores' | 'values'
}

/** Softmax over the last axis. Before opset 13 it flattened from its axis (default 1) on, the same for a matrix alone. */
const isLastAxis = (node: NodeProto, opset: number): boolean => {
  if (!attributeOf(node, 'axis') && opset < 13) return true
  const axis = intAttribute(node, 'axis', -1)
  return axis === -1 || axis === 1 || axis === 2
}

/**
 * Training looks behind a final Softmax or Sigmoid, where gradients do not vanish: class scores for the one, values for the other
 * (matching values before the squashing: Ba and Caruana, Do deep nets really need to be deep?, arXiv 1312.6184).
 * @throws OnnxFault unsupported when the model has no such output
 */
export const scoresOf = (model: ModelProto, output?: string): Scores => {
  const graph = mainGraph(model)
  const name = output ?? graph.output[0]?.name ?? ''
  if (!graph.output.some((each) => each.name === name))
    throw new OnnxFault(
      'unsupported',
      `The model has no output "${name}"; it has ${graph.output.map((each) => each.name).join(', ')}`,
    )
  let producer = graph.node.find((node) => node.output.includes(name))
  while (producer && isPlain(producer, 'Identity'))
    producer = graph.node.find((node) => node.output.includes(producer!.input[0]!))
  if (!producer) return { name, kind: 'values' }
  if (['Softmax', 'LogSoftmax'].some((op) => isPlain(producer, op)) && isLastAxis(producer, opsetOf(model) ?? 1))
    return { name: producer.input[0]!, kind: 'scores' }
  return { name: isPlain(producer, 'Sigmoid') ? producer.input[0]! : name, kind: 'values' }
}
