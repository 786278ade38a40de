import { floatAttr, int64Tensor, intAttr, intsAttr, makeTensor, stringAttr } from '../../../layers/onnx/graph/build.ts'
import { caseOf, type GradientCase, one } from './gradient-cases.ts'

const wide: [number, number] = [-3, 3]
const equation = (text: string) => [stringAttr('equation', text)]
const picked = (name: string, dims: number[], ...values: bigint[]) => ({
  constants: [makeTensor(name, dims, BigInt64Array.from(values))],
})

const units: GradientCase[] = [
  caseOf('Celu', one('Celu', ['x'], [floatAttr('alpha', 1.7)]), { x: [12] }, { range: wide }),
  caseOf('Selu', one('Selu', ['x']), { x: [12] }, { range: wide }),
  caseOf('Mish', one('Mish', ['x']), { x: [12] }, { range: wide, opset: 18 }),
  caseOf('ThresholdedRelu', one('ThresholdedRelu', ['x'], [floatAttr('alpha', 0.4)]), { x: [12] }),
  caseOf('Mean', one('Mean', ['a', 'b', 'c']), { a: [2, 3], b: [3], c: [2, 1] }),
]

const normals: GradientCase[] = [
  caseOf('InstanceNormalization', one('InstanceNormalization', ['x', 's', 'b']), { x: [2, 3, 4, 2], s: [3], b: [3] }),
  caseOf(
    'GroupNormalization',
    one('GroupNormalization', ['x', 's', 'b'], [intAttr('num_groups', 2)]),
    { x: [2, 4, 3], s: [4], b: [4] },
    { opset: 21 },
  ),
  caseOf('LpNormalization', one('LpNormalization', ['x'], [intAttr('axis', 1), intAttr('p', 2)]), { x: [2, 4, 2] }),
  caseOf('ReduceL2', one('ReduceL2', ['x'], [intsAttr('axes', [1]), intAttr('keepdims', 0)]), { x: [2, 4, 2] }),
  caseOf('ReduceLogSumExp', one('ReduceLogSumExp', ['x'], [intsAttr('axes', [-1])]), { x: [3, 4] }),
]

const layouts: GradientCase[] = [
  caseOf('DepthToSpace', one('DepthToSpace', ['x'], [intAttr('blocksize', 2)]), { x: [1, 8, 2, 3] }),
  caseOf('DepthToSpace by columns', one('DepthToSpace', ['x'], [intAttr('blocksize', 2), stringAttr('mode', 'CRD')]), {
    x: [2, 8, 2, 3],
  }),
  caseOf('SpaceToDepth', one('SpaceToDepth', ['x'], [intAttr('blocksize', 2)]), { x: [1, 2, 4, 2] }),
  caseOf('Tile', one('Tile', ['x', 'n']), { x: [2, 3] }, { constants: [int64Tensor('n', [3, 2])] }),
  caseOf(
    'GatherElements',
    one('GatherElements', ['x', 'i'], [intAttr('axis', 1)]),
    { x: [2, 3] },
    picked('i', [2, 2], 0n, 0n, 2n, 1n),
  ),
  caseOf('GatherND', one('GatherND', ['x', 'i']), { x: [3, 2, 2] }, picked('i', [3, 2], 0n, 1n, 2n, 0n, 0n, 1n)),
]

const sums: GradientCase[] = [
  caseOf('Einsum product', one('Einsum', ['a', 'b'], equation('bij,bjk->bik')), { a: [2, 2, 3], b: [2, 3, 2] }),
  caseOf('Einsum attention', one('Einsum', ['a', 'b'], equation('bnhd,bmhd->bhnm')), { a: [1, 2, 2, 3], b: [1, 3, 2, 3] }),
  caseOf('Einsum with an axis summed away', one('Einsum', ['a', 'b'], equation('ijk,kl->il')), { a: [2, 2, 3], b: [3, 2] }),
  caseOf('Einsum of three', one('Einsum', ['a', 'b', 'c'], equation('ij,jk,k->i')), { a: [2, 3], b: [3, 2], c: [2] }),
]

export const furtherCases: readonly GradientCase[] = [...units, ...normals, ...layouts, ...sums]
