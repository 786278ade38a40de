import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { floatAttribute } from '../graph/attributes.ts'
import { int64Tensor, makeNode, scalarTensor } from '../graph/build.ts'
import { isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'
import { nextName } from './optimizers.ts'
import { reduceNode } from './reduce-node.ts'
import type { ValueFacts } from './values.ts'

/** Running statistics go in under their own name and come out as `nextName`. */
export type RunningStatistic = string

/**
 * Makes every BatchNormalization of the main graph normalise by its batch's own mean and variance, spelled out in primitive
 * operators whose gradients are known, and adds nodes that move the running statistics towards them (ONNX: new = old·momentum +
 * batch·(1 − momentum), population variance). Answers the statistics, which thereby become state.
 * Source: Ioffe and Szegedy, arXiv 1502.03167; BatchNormalization-15 of the ONNX specification.
 */
export const useBatchStatistics = (model: ModelProto, values: ReadonlyMap<string, ValueFacts>): RunningStatistic[] => {
  const graph = mainGraph(model)
  const statistics: string[] = []
  graph.node = graph.node.flatMap((node) => {
    if (!isPlain(node, 'BatchNormalization')) return [node]
    const rank = values.get(node.input[0] ?? '')?.shape.length
    if (rank === undefined) return [node]
    statistics.push(node.input[3]!, node.input[4]!)
    return spelledOut(model, node, rank)
  })
  return statistics
}

const spelledOut = (model: ModelProto, node: NodeProto, rank: number): NodeProto[] => {
  const { initializer } = mainGraph(model)
  const [x, scale, bias, running_mean, running_variance] = node.input as [string, string, string, string, string]
  const named = (part: string): string => `train/${node.output[0]}/${part}`
  const momentum = floatAttribute(node, 'momentum', 0.9)
  initializer.push(
    scalarTensor(named('epsilon'), floatAttribute(node, 'epsilon', 1e-5)),
    scalarTensor(named('old'), momentum),
    scalarTensor(named('new'), 1 - momentum),
    int64Tensor(named('channels'), [-1, ...Array.from({ length: rank - 2 }, () => 1)]),
    int64Tensor(named('flat'), [-1]),
  )
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1)
  const make = (op: string, inputs: string[], part: string): NodeProto => makeNode(op, inputs, [named(part)])
  return [
    ...reduceNode(model, 'ReduceMean', x, axes, named('mean')),
    make('Sub', [x, named('mean')], 'centred'),
    make('Mul', [named('centred'), named('centred')], 'squares'),
    ...reduceNode(model, 'ReduceMean', named('squares'), axes, named('variance')),
    make('Add', [named('variance'), named('epsilon')], 'guarded'),
    make('Sqrt', [named('guarded')], 'spread'),
    make('Div', [named('centred'), named('spread')], 'normal'),
    make('Reshape', [scale, named('channels')], 'scale'),
    make('Reshape', [bias, named('channels')], 'bias'),
    make('Mul', [named('normal'), named('scale')], 'scaled'),
    makeNode('Add', [named('scaled'), named('bias')], [node.output[0]!]),
    ...moved(make, named, 'mean', running_mean),
    ...moved(make, named, 'variance', running_variance),
  ]
}

const moved = (
  make: (op: string, inputs: string[], part: string) => NodeProto,
  named: (part: string) => string,
  statistic: 'mean' | 'variance',
  running: string,
): NodeProto[] => [
  make('Reshape', [named(statistic), named('flat')], `flat_${statistic}`),
  make('Mul', [named(`flat_${statistic}`), named('new')], `new_${statistic}`),
  make('Mul', [running, named('old')], `old_${statistic}`),
  makeNode('Add', [named(`old_${statistic}`), named(`new_${statistic}`)], [nextName(running)]),
]
