import { DataType } from '../codec/data-types.ts'
import { floatToHalf } from '../codec/half.ts'
import type { NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorNumbers } from '../codec/tensor-values.ts'
import {
  attributeOf,
  floatAttribute,
  floatsAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  withoutAttributes,
} from './attributes.ts'
import { int64Tensor, intAttr, makeNode, makeTensor, stringAttr } from './build.ts'
import { constantTensor } from './index-graph.ts'
import type { Rewrite, RewriteContext } from './upgrade.ts'
import { elementTypeOf, rankOf } from './value-types.ts'

/** A rewrite and the opset whose change it follows. */
export interface Rule {
  since: number
  rewrite: Rewrite
}

/** Moves INT and INTS attributes to int64 inputs, in the order given and exact; an absent one leaves its place empty. */
export const attributesToInputs =
  (...names: string[]): Rewrite =>
  (node, { fresh, store }) => {
    const added = names.map((name) => {
      const attribute = attributeOf(node, name)
      if (!attribute) return ''
      const values = attribute.ints ?? BigInt64Array.from(attribute.i === undefined ? [] : [attribute.i])
      return store(makeTensor(fresh(`${node.name || node.op_type}_${name}`), [values.length], values))
    })
    while (added.at(-1) === '') added.pop()
    return added.length === 0 ? [node] : [{ ...withoutAttributes(node, ...names), input: [...node.input.slice(0, 1), ...added] }]
  }

/** A constant of the same element type as the node's data input. */
const storeLike = (node: NodeProto, value: number, suffix: string, context: RewriteContext): string => {
  const name = context.fresh(`${node.name || node.op_type}_${suffix}`)
  const type = elementTypeOf(context, node.input[0] ?? '')
  if (type === DataType.FLOAT) return context.store(makeTensor(name, [], Float32Array.of(value)))
  if (type === DataType.DOUBLE) return context.store(makeTensor(name, [], Float64Array.of(value)))
  if (type === DataType.FLOAT16) return context.store(makeTensor(name, [], Uint16Array.of(floatToHalf(value)), DataType.FLOAT16))
  return context.refuse(node, 'the element type of its input is not known')
}

const clip: Rewrite = (node, context) => {
  const bound = (name: string): string =>
    attributeOf(node, name) ? storeLike(node, floatAttribute(node, name, 0), name, context) : ''
  const input = [...node.input.slice(0, 1), bound('min'), bound('max')]
  while (input.at(-1) === '') input.pop()
  return [{ ...withoutAttributes(node, 'min', 'max'), input }]
}

const pad: Rewrite = (node, context) => {
  const pads = context.store(int64Tensor(context.fresh(`${node.name || 'Pad'}_pads`), intsAttribute(node, 'pads') ?? []))
  const value = floatAttribute(node, 'value', 0)
  const input = [...node.input.slice(0, 1), pads, ...(value === 0 ? [] : [storeLike(node, value, 'value', context)])]
  return [{ ...withoutAttributes(node, 'pads', 'value'), input }]
}

/**
 * Until 12 Softmax flattened to two dimensions at `axis` (default 1); from 13 on it works along one axis (default −1). The same when
 * the axis is the last; otherwise the flattening is spelled out.
 */
const softmax: Rewrite = (node, context) => {
  const axis = intAttribute(node, 'axis', 1)
  const rank = rankOf(context, node.input[0] ?? '')
  if (axis === -1 || (rank !== undefined && axis === rank - 1))
    return [{ ...withoutAttributes(node, 'axis'), attribute: [intAttr('axis', -1)] }]
  const [source = '', target = ''] = [node.input[0], node.output[0]]
  const [shape, flat, soft] = ['shape', 'flat', 'soft'].map((suffix) => context.fresh(`${target}_${suffix}`))
  return [
    makeNode('Shape', [source], [shape!]),
    makeNode('Flatten', [source], [flat!], { attributes: [intAttr('axis', axis)] }),
    makeNode(node.op_type ?? '', [flat!], [soft!], { attributes: [intAttr('axis', -1)] }),
    // With `allowzero` (there since 14) an empty dimension of the shape stays one, instead of being looked up in what was flattened.
    makeNode('Reshape', [soft!, shape!], [target], { attributes: context.to >= 14 ? [intAttr('allowzero', 1)] : [] }),
  ]
}

const dropout: Rewrite = (node, context) => {
  const mask = node.output[1]
  if (mask && (context.index.uses.has(mask) || context.index.outputs.has(mask)))
    context.refuse(node, 'its mask is used, whose meaning changed')
  return [{ ...withoutAttributes(node, 'ratio'), output: node.output.slice(0, 1) }]
}

/** Upsample and Resize up to 10 mapped coordinates as `asymmetric`; 11 made that a choice, with another default. */
const resize: Rewrite = (node, context) => {
  const scales = storedScales(node, context)
  const mode = stringAttribute(node, 'mode', 'nearest')
  const numbers = scales.tensor && tensorNumbers(scales.tensor)
  const nearest = mode === 'nearest' ? [stringAttr('nearest_mode', nearestMode(node, numbers, context))] : []
  const roi = context.store(makeTensor(context.fresh(`${node.name || 'Resize'}_roi`), [0], new Float32Array(0)))
  const attribute = [stringAttr('mode', mode), stringAttr('coordinate_transformation_mode', 'asymmetric'), ...nearest]
  return [{ ...node, op_type: 'Resize', input: [node.input[0] ?? '', roi, scales.name], attribute }]
}

/** Scales were an attribute of Upsample until 8 and are an input since. */
const storedScales = (node: NodeProto, context: RewriteContext): { name: string; tensor: TensorProto | undefined } => {
  const attribute = floatsAttribute(node, 'scales')
  if (!attribute) return { name: node.input[1] ?? '', tensor: constantTensor(context.index, node.input[1] ?? '') }
  const tensor = makeTensor(context.fresh(`${node.name || 'Upsample'}_scales`), [attribute.length], Float32Array.from(attribute))
  return { name: context.store(tensor), tensor }
}

const nearestMode = (node: NodeProto, scales: number[] | undefined, context: RewriteContext): string => {
  if (scales?.every((scale) => scale >= 1)) return 'floor'
  if (scales?.every((scale) => scale <= 1)) return 'ceil'
  return context.refuse(node, 'rounding depends on scales that are computed, or partly up and partly down')
}

export const refuseIf =
  (reason: string, applies: (node: NodeProto) => boolean): Rewrite =>
  (node, context) =>
    applies(node) ? context.refuse(node, reason) : [node]

const renamed =
  (op_type: string): Rewrite =>
  (node) => [{ ...node, op_type }]

/** Operators whose form changed after opset 7 and up to 13, oldest change first. */
export const rewritesUntil13: Readonly<Record<string, readonly Rule[]>> = {
  BatchNormalization: [
    {
      since: 9,
      rewrite: refuseIf('it normalises every element by itself (spatial=0)', (node) => intAttribute(node, 'spatial', 1) === 0),
    },
    { since: 9, rewrite: (node) => [withoutAttributes(node, 'spatial')] },
  ],
  Clip: [{ since: 11, rewrite: clip }],
  Dropout: [{ since: 12, rewrite: dropout }],
  Hardmax: [{ since: 13, rewrite: softmax }],
  LogSoftmax: [{ since: 13, rewrite: softmax }],
  Pad: [{ since: 11, rewrite: pad }],
  ReduceSum: [{ since: 13, rewrite: attributesToInputs('axes') }],
  Resize: [
    { since: 11, rewrite: resize },
    {
      since: 13,
      rewrite: refuseIf(
        'tf_half_pixel_for_nn went away',
        (node) => stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_half_pixel_for_nn',
      ),
    },
  ],
  Scan: [{ since: 9, rewrite: refuseIf('its batch dimension went away', () => true) }],
  Scatter: [{ since: 11, rewrite: renamed('ScatterElements') }],
  Slice: [{ since: 10, rewrite: attributesToInputs('starts', 'ends', 'axes') }],
  Softmax: [{ since: 13, rewrite: softmax }],
  Split: [{ since: 13, rewrite: attributesToInputs('split') }],
  Squeeze: [{ since: 13, rewrite: attributesToInputs('axes') }],
  TopK: [{ since: 10, rewrite: attributesToInputs('k') }],
  Unsqueeze: [{ since: 13, rewrite: attributesToInputs('axes') }],
  Upsample: [{ since: 10, rewrite: resize }],
}
