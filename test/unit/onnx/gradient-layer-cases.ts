import type { AttributeProto } from '../../../layers/onnx/codec/schema.ts'
import { floatAttr, intAttr, intsAttr, makeTensor, stringAttr } from '../../../layers/onnx/graph/build.ts'
import { caseOf, type GradientCase, one } from './gradient-cases.ts'

const transposes = [0, 1].flatMap((transA) => [0, 1].map((transB) => ({ transA, transB })))

const gemms = transposes.map(({ transA, transB }) => {
  const flags = [intAttr('transA', transA), intAttr('transB', transB), floatAttr('alpha', 0.7), floatAttr('beta', 1.3)]
  const shapes = { a: transA ? [4, 2] : [2, 4], b: transB ? [3, 4] : [4, 3], c: [3] }
  return caseOf(`Gemm ${transA}${transB}`, one('Gemm', ['a', 'b', 'c'], flags), shapes)
})

const factors: [number[], number[]][] = [
  [
    [2, 3],
    [3, 4],
  ],
  [
    [2, 2, 3],
    [3, 4],
  ],
  [
    [2, 2, 3],
    [2, 3, 2],
  ],
  [
    [2, 1, 2, 3],
    [3, 3, 2],
  ],
  [
    [2, 3],
    [2, 3, 2],
  ],
  [[3], [3, 2]],
  [[2, 3], [3]],
  [[3], [3]],
  [[2, 2, 3], [3]],
]

const products = [
  ...gemms,
  caseOf('Gemm without bias', one('Gemm', ['a', 'b']), { a: [2, 3], b: [3, 4] }),
  ...factors.map(([a, b]) => caseOf(`MatMul [${a}]×[${b}]`, one('MatMul', ['a', 'b']), { a, b })),
]

const strides = (...values: number[]): AttributeProto => intsAttr('strides', values)
const pads = (...values: number[]): AttributeProto => intsAttr('pads', values)
const dilations = (...values: number[]): AttributeProto => intsAttr('dilations', values)
const group = (value: number): AttributeProto => intAttr('group', value)
const kernel = (...sides: number[]): AttributeProto => intsAttr('kernel_shape', sides)

const conv = (name: string, x: number[], w: number[], ...attributes: AttributeProto[]): GradientCase =>
  caseOf(`Conv ${name}`, one('Conv', ['x', 'w', 'b'], attributes), { x, w, b: [w[0] ?? 1] })

const convolutions = [
  conv('plain', [2, 2, 5, 4], [3, 2, 3, 2]),
  conv('padded', [1, 2, 4, 4], [2, 2, 3, 3], pads(1, 1, 1, 1)),
  conv('unevenly padded', [1, 1, 4, 5], [2, 1, 3, 2], pads(2, 0, 1, 1)),
  conv('strided', [2, 2, 6, 5], [2, 2, 2, 3], strides(2, 2), pads(0, 1, 0, 1)),
  conv('strided with a rest', [1, 1, 8, 6], [2, 1, 2, 2], strides(3, 3)),
  conv('dilated', [1, 2, 6, 6], [2, 2, 2, 2], dilations(2, 3), pads(1, 0, 0, 1)),
  conv('strided and dilated', [1, 1, 9, 8], [2, 1, 3, 2], dilations(2, 2), strides(2, 3)),
  conv('grouped', [2, 4, 4, 3], [4, 2, 2, 2], group(2)),
  conv('depthwise strided', [2, 3, 5, 5], [3, 1, 3, 3], group(3), strides(2, 2), pads(1, 1, 1, 1)),
  conv('pointwise', [2, 3, 2, 3], [4, 3, 1, 1]),
  conv('pointwise strided', [2, 2, 4, 4], [3, 2, 1, 1], strides(2, 2)),
  conv('SAME_UPPER', [1, 1, 5, 4], [2, 1, 3, 2], stringAttr('auto_pad', 'SAME_UPPER'), strides(2, 2)),
  conv('SAME_LOWER', [1, 1, 5, 4], [2, 1, 2, 3], stringAttr('auto_pad', 'SAME_LOWER')),
  conv('of one axis', [2, 2, 7], [3, 2, 3], strides(2), pads(1, 0)),
]

const transposed = (name: string, x: number[], w: number[], ...attributes: AttributeProto[]): GradientCase =>
  caseOf(`ConvTranspose ${name}`, one('ConvTranspose', ['x', 'w', 'b'], attributes), { x, w, b: [w[1] ?? 1] })

const transposedConvolutions = [
  transposed('plain', [2, 2, 3, 3], [2, 3, 2, 3]),
  transposed('strided', [1, 2, 3, 3], [2, 2, 3, 2], strides(2, 3), pads(1, 0, 0, 1)),
  transposed(
    'with output padding',
    [1, 1, 3, 2],
    [1, 2, 3, 3],
    strides(2, 2),
    intsAttr('output_padding', [1, 1]),
    dilations(2, 1),
  ),
]

const ceil = intAttr('ceil_mode', 1)
const max = (name: string, x: number[], ...attributes: AttributeProto[]): GradientCase =>
  caseOf(`MaxPool ${name}`, one('MaxPool', ['x'], attributes), { x })
const average = (name: string, x: number[], ...attributes: AttributeProto[]): GradientCase =>
  caseOf(`AveragePool ${name}`, one('AveragePool', ['x'], attributes), { x })

const pools = [
  max('plain', [2, 2, 4, 4], kernel(2, 2), strides(2, 2)),
  max('overlapping', [1, 2, 4, 3], kernel(3, 2), pads(1, 0, 1, 1)),
  max('to the ceiling', [1, 1, 5, 5], kernel(2, 2), strides(2, 2), ceil),
  average('plain', [2, 2, 4, 4], kernel(2, 3), strides(2, 1)),
  average('padded', [1, 2, 5, 4], kernel(3, 3), pads(1, 1, 1, 1), strides(2, 2)),
  average('counting pads', [1, 2, 3, 4], kernel(3, 3), pads(1, 1, 1, 1), intAttr('count_include_pad', 1)),
  average('to the ceiling', [1, 1, 5, 5], kernel(2, 2), strides(2, 2), ceil),
  caseOf('GlobalAveragePool', one('GlobalAveragePool', ['x']), { x: [2, 2, 3, 2] }),
  caseOf('GlobalMaxPool', one('GlobalMaxPool', ['x']), { x: [2, 2, 3, 2] }),
]

const resize = (name: string, factors: number[], ...modes: [string, string][]): GradientCase => {
  const scales = makeTensor('scales', [4], Float32Array.of(1, 1, ...factors))
  const attributes = modes.map(([key, value]) => stringAttr(key, value))
  return caseOf(`Resize ${name}`, one('Resize', ['x', '', 'scales'], attributes), { x: [1, 2, 2, 3] }, { constants: [scales] })
}

const resizes = [
  resize('by default', [3, 2]),
  resize('asymmetric', [4, 2], ['coordinate_transformation_mode', 'asymmetric'], ['nearest_mode', 'floor']),
]

const statistics = [makeTensor('m', [3], Float32Array.of(0.1, -0.2, 0.3)), makeTensor('v', [3], Float32Array.of(0.5, 1, 2))]

const normalizations = [
  caseOf('LayerNormalization', one('LayerNormalization', ['x', 's', 'b'], [floatAttr('epsilon', 1e-3)]), {
    x: [3, 6],
    s: [6],
    b: [6],
  }),
  caseOf('LayerNormalization axis 1', one('LayerNormalization', ['x', 's'], [intAttr('axis', 1)]), { x: [2, 3, 2], s: [3, 2] }),
  caseOf(
    'BatchNormalization',
    one('BatchNormalization', ['x', 's', 'b', 'm', 'v']),
    { x: [2, 3, 2, 2], s: [3], b: [3] },
    { constants: statistics },
  ),
]

export const layerCases: readonly GradientCase[] = [
  ...products,
  ...convolutions,
  ...transposedConvolutions,
  ...pools,
  ...resizes,
  ...normalizations,
]
