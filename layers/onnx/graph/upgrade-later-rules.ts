import type { NodeProto } from '../codec/schema.ts'
import { intAttribute, stringAttribute, withoutAttributes } from './attributes.ts'
import { int64Tensor, intAttr, makeNode, stringAttr } from './build.ts'
import type { Rewrite } from './upgrade.ts'
import { attributesToInputs, type Rule, refuseIf } from './upgrade-rules.ts'
import { elementTypeOf } from './value-types.ts'

const reduceAxes: Rule = { since: 18, rewrite: attributesToInputs('axes') }

/** Until 13 the further outputs meant training, where the batch's own mean and variance normalise; since 14 an attribute says so. */
const batchNormalization = refuseIf('its further outputs mean training, which the newer form says otherwise', (node) =>
  node.output.slice(1).some((name) => name !== ''),
)

/** Since 18 a Split without sizes says how many parts it makes; those it made before were always equal. */
const split: Rewrite = (node) => {
  const sized = (node.input[1] ?? '') !== ''
  return [sized ? node : { ...node, attribute: [...node.attribute, intAttr('num_outputs', node.output.length)] }]
}

/** The axis became an input in 20, with another default than the 1 it had. */
const dft: Rewrite = (node, { fresh, store }) => {
  const axis = { ...int64Tensor(fresh(`${node.name || 'DFT'}_axis`), [intAttribute(node, 'axis', 1)]), dims: [] }
  const [signal = '', length = ''] = node.input
  return [{ ...withoutAttributes(node, 'axis'), input: [signal, length, store(axis)] }]
}

const gridModes: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' }
const gridSample: Rewrite = (node) => {
  const mode = stringAttribute(node, 'mode', 'bilinear')
  const { attribute } = withoutAttributes(node, 'mode')
  return [{ ...node, attribute: [...attribute, stringAttr('mode', gridModes[mode] ?? mode)] }]
}

/** Until 15 the regions were not shifted by half a pixel; 16 made that a choice, with another default. */
const roiAlign: Rewrite = (node) => [
  { ...node, attribute: [...node.attribute, stringAttr('coordinate_transformation_mode', 'output_half_pixel')] },
]

/** Scale and bias stood for whole groups until 20, for channels since: each value is repeated for the channels of its group. */
const groupNormalization: Rewrite = (node, context) => {
  const [source = '', scale = '', bias = ''] = node.input
  const groups = intAttribute(node, 'num_groups', 1)
  const computed_as = elementTypeOf(context, source) ?? context.refuse(node, 'the element type it computes in is not known')
  const named = (part: string): string => context.fresh(`${node.output[0] ?? ''}_${part}`)
  const stored = (part: string, values: number[]): string => context.store(int64Tensor(named(part), values))
  const [shape, channels, each, wide, column] = [named('shape'), named('channels'), named('each'), named('wide'), named('column')]
  context.store(int64Tensor(column, [groups, 1]))
  const sizes = [
    makeNode('Shape', [source], [shape]),
    makeNode('Gather', [shape, stored('axis', [1])], [channels]),
    makeNode('Div', [channels, stored('groups', [groups])], [each]),
    makeNode('Concat', [stored('rows', [groups]), each], [wide], { attributes: [intAttr('axis', 0)] }),
  ]
  // [G] → [G, 1] → [G, C/G] → [C].
  const repeated = (values: string, part: string): NodeProto[] => {
    const [tall, spread] = [named(`${part}_tall`), named(`${part}_spread`)]
    return [
      makeNode('Reshape', [values, column], [tall]),
      makeNode('Expand', [tall, wide], [spread]),
      makeNode('Reshape', [spread, channels], [named(part)]),
    ]
  }
  const [scales, biases] = [repeated(scale, 'scale'), repeated(bias, 'bias')]
  const input = [source, ...[scales, biases].map((nodes) => nodes.at(-1)?.output[0] ?? '')]
  return [...sizes, ...scales, ...biases, { ...node, input, attribute: [...node.attribute, intAttr('stash_type', computed_as)] }]
}

/** Operators whose form changed after opset 13 and up to 21, oldest change first. */
export const rewritesUntil21: Readonly<Record<string, readonly Rule[]>> = {
  BatchNormalization: [{ since: 14, rewrite: batchNormalization }],
  DFT: [{ since: 20, rewrite: dft }],
  GridSample: [{ since: 20, rewrite: gridSample }],
  GroupNormalization: [{ since: 21, rewrite: groupNormalization }],
  ReduceL1: [reduceAxes],
  ReduceL2: [reduceAxes],
  ReduceLogSum: [reduceAxes],
  ReduceLogSumExp: [reduceAxes],
  ReduceMax: [reduceAxes],
  ReduceMean: [reduceAxes],
  ReduceMin: [reduceAxes],
  ReduceProd: [reduceAxes],
  ReduceSumSquare: [reduceAxes],
  RoiAlign: [{ since: 16, rewrite: roiAlign }],
  Split: [{ since: 18, rewrite: split }],
}
