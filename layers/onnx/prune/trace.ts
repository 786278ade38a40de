import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { indexGraph, topologicalOrder } from '../graph/index-graph.ts'
import { opsetOf, plainDomain } from '../graph/opsets.ts'
import { mainGraph, subGraphs, usedNames } from '../graph/walk.ts'
import {
  broadcast,
  type ChannelRule,
  layerNormAxes,
  mixing,
  perChannel,
  reduce,
  sameAsFirst,
  softmaxAxes,
  unknown,
} from './elementwise-rules.ts'
import { because, type Flow, startFlow } from './flow.ts'
import { concat, cutting, gather, keepingSizes, pool, relayout, shape, split, transpose } from './layout-rules.ts'
import { conv, convTranspose, gemm, matMul, recurrent } from './linear-rules.ts'

const under = (names: string, rule: ChannelRule): Record<string, ChannelRule> =>
  Object.fromEntries(names.split(' ').map((name) => [name, rule]))

/** Operator of the default domain → how channels pass it. Whatever is not here keeps all that reaches it. */
const rules: Readonly<Record<string, ChannelRule>> = {
  ...under(
    'Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Celu Clip Cos Cosh Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN ' +
      'LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu',
    sameAsFirst,
  ),
  ...under(
    'Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow PRelu Sub Sum Where Xor',
    broadcast,
  ),
  ...under(
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
    reduce,
  ),
  ...under('AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool', pool),
  ...under('BatchNormalization InstanceNormalization', perChannel),
  ...under('Softmax LogSoftmax Hardmax', mixing(softmaxAxes, 'is normalised together by')),
  ...under('LayerNormalization RMSNormalization', mixing(layerNormAxes, 'is normalised together by')),
  ...under('GRU LSTM RNN', recurrent),
  ...under('Flatten Reshape Squeeze Unsqueeze', relayout),
  ...under('Pad Slice', cutting),
  Concat: concat,
  Constant: () => undefined,
  Conv: conv,
  ConvTranspose: convTranspose,
  Gather: gather,
  Gemm: gemm,
  LRN: mixing(() => [1], 'is normalised together by'),
  MatMul: matMul,
  Resize: keepingSizes(3),
  Shape: shape,
  Split: split,
  Transpose: transpose,
  Upsample: keepingSizes(),
}

const ruleOf = (node: NodeProto): ChannelRule =>
  (plainDomain(node.domain) === '' && Object.hasOwn(rules, node.op_type ?? '') && rules[node.op_type ?? '']) || unknown

/**
 * Follows every channel of the outermost graph from the weight that makes it to those that sum it up, through whatever lies between,
 * and notes which must live or go together, which must stay and why. `shapes` are those of one run, by value. What sub-graphs
 * capture stays.
 * Source: dependency graphs of Fang et al., DepGraph: Towards Any Structural Pruning (2023), here per position by union-find.
 */
export function traceChannels(model: ModelProto, shapes: ReadonlyMap<string, readonly number[]>): Flow {
  const graph = mainGraph(model)
  const flow = startFlow(indexGraph(graph, { ir_version: model.ir_version }), opsetOf(model) ?? 1, shapes)
  for (const node of topologicalOrder(graph)) {
    ruleOf(node)(node, flow)
    if (subGraphs(node).length > 0) flow.fix(usedNames(node), because(node, 'reaches'))
  }
  for (const output of graph.output) flow.fix([output.name ?? ''], `reaches output "${output.name ?? ''}"`)
  return flow
}
