import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadModel } from '../../../layers/onnx/codec/read-model.ts'
import { tensorFloats } from '../../../layers/onnx/codec/tensor-values.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { generatedSamples } from '../../../layers/onnx/evaluate/generated-samples.ts'
import { intAttr } from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { pruneModel } from '../../../layers/onnx/prune/prune-model.ts'
import { answers, builder, cases, finished, rows, sqnr } from './prune-cases.ts'
import { realModelPaths } from './real-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'prune-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const model_path = join(folder, 'model.onnx')
const candidate_path = join(folder, 'candidate.onnx')
const shipped = (name: string): string => join(process.cwd(), realModelPaths().find((path) => path.includes(name)) ?? '')
const paths = { model_path, candidate_path, structure: 'structured' as const }

describe('channels that add nothing', () => {
  it.each(Object.entries(cases))('go from %s, and no answer changes', async (_name, { model, input }) => {
    writeModelFile(model, model_path)
    const report = await pruneModel({ ...paths, sparsity: 0.5, samples: rows(input, 12), reconstruct: false })
    expect(report.groups.some(({ channels, kept }) => kept < channels)).toBe(true)
    expect(report.kept.parameters).toBeLessThan(0.75 * report.kept.of)
    const feeds = rows(input, 8, 99)
    expect(sqnr(await answers(model, feeds), await answers(candidate_path, feeds))).toBeGreaterThan(100)
  })

  it('are found by their weights alone when there are no samples', async () => {
    const { model, input } = cases['a residual network']!
    writeModelFile(model, model_path)
    const report = await pruneModel({ ...paths, sparsity: 0.5, samples: [] })
    expect(report.notes.join()).toContain('chosen by weights alone')
    const feeds = rows(input, 4)
    expect(sqnr(await answers(model, feeds), await answers(candidate_path, feeds))).toBeGreaterThan(100)
  })

  it('heads of attention go whole, feed-forward channels in eights', async () => {
    writeModelFile(cases['attention and a feed-forward layer']!.model, model_path)
    const { groups } = await pruneModel({ ...paths, sparsity: 0.5, samples: rows([2, 5, 32], 12) })
    expect(groups.map(({ kind, channels, kept }) => ({ kind, channels, kept }))).toEqual([
      { kind: 'heads', channels: 4, kept: 2 },
      { kind: 'channels', channels: 64, kept: 32 },
    ])
    const only = await pruneModel({ ...paths, structure: 'heads', sparsity: 0.5, samples: rows([2, 5, 32], 12) })
    expect(only.groups.map(({ kind }) => kind)).toEqual(['heads'])
  })
})

describe('fitting what is left', () => {
  /** Several channels say nearly the same, as in trained networks; none is dead. */
  const redundant = () => {
    const b = builder(11)
    const wide = b.op('Conv', ['x', b.weight([8, 3, 3, 3])])
    const mixed = b.op('Relu', [b.op('Conv', [wide, b.weight([32, 8, 1, 1])])])
    const deeper = b.op('Sigmoid', [b.op('Conv', [mixed, b.weight([32, 32, 3, 3])], [intAttr('group', 1)])])
    const out = b.op('Gemm', [b.op('Flatten', [b.op('GlobalAveragePool', [deeper])]), b.weight([32, 10])])
    return finished(b, [1, 3, 10, 10], [out])
  }

  it('brings a small convolutional network far nearer to the original than cutting alone', async () => {
    const model = redundant()
    writeModelFile(model, model_path)
    const samples = rows([1, 3, 10, 10], 64)
    const feeds = rows([1, 3, 10, 10], 40, 77)
    const wanted = await answers(model, feeds)
    await pruneModel({ ...paths, sparsity: 0.5, samples, reconstruct: false })
    const plain = sqnr(wanted, await answers(candidate_path, feeds))
    const { refits } = await pruneModel({ ...paths, sparsity: 0.5, samples })
    const fitted = sqnr(wanted, await answers(candidate_path, feeds))
    expect(refits.length).toBeGreaterThan(1)
    expect(fitted).toBeGreaterThan(plain + 10)
  })

  it('a trained wake-word network keeps a quarter of its neurons and answers as before', async () => {
    const original = shipped('weather_v0.1')
    const samples = await generatedSamples(original, { most: 2048, budget_ms: 2000, first_seed: 10_000 })
    const dims = [...(samples[0]?.['onnx::Flatten_0'] ?? Object.values(samples[0] ?? {})[0])!.dims]
    const name = Object.keys(samples[0] ?? {})[0] ?? ''
    const feeds = rows(dims, 64, 5).map(({ x }) => ({ [name]: x! }))
    const wanted = await answers(original, feeds)
    const options = { model_path: original, candidate_path, structure: 'structured' as const, sparsity: 0.75, samples }
    await pruneModel({ ...options, reconstruct: false })
    const plain = sqnr(wanted, await answers(candidate_path, feeds))
    await pruneModel(options)
    const fitted = sqnr(wanted, await answers(candidate_path, feeds))
    expect(fitted).toBeGreaterThan(plain + 5)
    expect(fitted).toBeGreaterThan(20)
    expect(statSync(candidate_path).size).toBeLessThan(0.3 * statSync(original).size)
  })

  it('a trained mobile network loses a quarter of its channels and keeps its answers', async () => {
    const original = shipped('cls_infer')
    const samples = await generatedSamples(original, {
      most: 32,
      budget_ms: 1,
      first_seed: 10_000,
      shapes: { x: [1, 3, 48, 96] },
    })
    const held = await generatedSamples(original, { most: 16, budget_ms: 1, first_seed: 0, shapes: { x: [1, 3, 48, 96] } })
    const wanted = await answers(original, held)
    const options = { model_path: original, candidate_path, structure: 'structured' as const, sparsity: 0.25, samples }
    await pruneModel({ ...options, reconstruct: false })
    const plain = sqnr(wanted, await answers(candidate_path, held))
    const { refused } = await pruneModel(options)
    expect(sqnr(wanted, await answers(candidate_path, held))).toBeGreaterThan(Math.max(18, plain + 5))
    expect(statSync(candidate_path).size).toBeLessThan(0.7 * statSync(original).size)
    expect(refused.map(({ reason }) => reason)).toEqual([expect.stringContaining('Softmax')])
  })
})

describe('channels that must stay', () => {
  it.each([
    ['hey_jarvis', /ReduceMean/],
    ['silero', /no weight makes channels/],
  ])('are named with the reason: %s', async (name, reason) => {
    const original = shipped(name)
    const samples = await generatedSamples(original, { most: 16, budget_ms: 1, first_seed: 0 })
    await expect(pruneModel({ ...paths, model_path: original, sparsity: 0.5, samples })).rejects.toThrow(reason)
  })

  it.each([
    ['an operator that is not followed', 'DepthToSpace'],
    ['a mean over them', 'ReduceMean'],
    ['a softmax over them', 'Softmax'],
  ])('because of %s', async (_name, operator) => {
    const b = builder(9)
    const made = b.op('Conv', ['x', b.weight([32, 3, 1, 1])])
    const axis = operator === 'DepthToSpace' ? [intAttr('blocksize', 2)] : operator === 'Softmax' ? [intAttr('axis', 1)] : []
    b.op(operator, [made], axis, ['y'])
    writeModelFile(finished(b, [1, 3, 4, 4], ['y']), model_path)
    await expect(pruneModel({ ...paths, sparsity: 0.5, samples: rows([1, 3, 4, 4], 8) })).rejects.toMatchObject({
      code: 'unsupported',
      detail: expect.stringContaining(operator),
    })
  })

  it('because they are an output, or too few', async () => {
    const b = builder(10)
    const few = b.op('Relu', [b.op('Conv', ['x', b.weight([8, 3, 1, 1])])])
    writeModelFile(finished(b, [1, 3, 4, 4], [b.op('Conv', [few, b.weight([32, 8, 1, 1])], [], ['y'])]), model_path)
    await expect(pruneModel({ ...paths, sparsity: 0.5, samples: rows([1, 3, 4, 4], 8) })).rejects.toMatchObject({
      detail: expect.stringMatching(/reaches output "y".*has only 8/),
    })
  })

  it('refuses sparsities that are none', async () => {
    for (const sparsity of [0, 1, -1, Number.NaN])
      await expect(pruneModel({ ...paths, sparsity, samples: [] })).rejects.toThrow(/Sparsity/)
  })
})

describe('zeroed weights', () => {
  const weightsOf = (path: string) => mainGraph(loadModel(path)).initializer.filter(({ dims }) => dims.length === 2)

  it('unstructured: the smallest of each weight are 0, and the notes say what that is good for', async () => {
    const original = shipped('alexa')
    const { notes } = await pruneModel({
      model_path: original,
      candidate_path,
      sparsity: 0.5,
      structure: 'unstructured',
      samples: [],
    })
    expect(notes.join()).toContain('neither latency nor size')
    const before = weightsOf(original)
    for (const [at, tensor] of weightsOf(candidate_path).entries()) {
      const [was, is] = [tensorFloats(before[at]!), tensorFloats(tensor)]
      if (is.length < 1024) continue
      const zeros = is.filter((value) => value === 0).length
      expect(zeros / is.length).toBeCloseTo(0.5, 2)
      const largest_gone = was.reduce((most, value, each) => (is[each] === 0 ? Math.max(most, Math.abs(value)) : most), 0)
      const smallest_kept = is.reduce(
        (least, value) => (value === 0 ? least : Math.min(least, Math.abs(value))),
        Number.POSITIVE_INFINITY,
      )
      expect(largest_gone).toBeLessThanOrEqual(smallest_kept)
    }
    expect(statSync(candidate_path).size).toBeGreaterThan(0.99 * readFileSync(original).length)
  })

  it('2:4: of every four weights along the summed axis two are 0', async () => {
    const { model } = cases['attention from one product']!
    writeModelFile(model, model_path)
    await pruneModel({ ...paths, structure: '2:4', sparsity: 0.5, samples: [] })
    const [weight] = weightsOf(candidate_path).filter(({ dims }) => dims[1] === 96)
    const values = tensorFloats(weight!)
    for (let column = 0; column < 96; column++)
      for (let first = 0; first < 32; first += 4)
        expect([0, 1, 2, 3].filter((at) => values[(first + at) * 96 + column] === 0)).toHaveLength(2)
  })
})
