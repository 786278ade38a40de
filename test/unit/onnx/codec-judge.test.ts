import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { Optimizer } from '../../../layers/core/ports/optimizer.ts'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import { loadModel, readModel, readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { writeModelFiles } from '../../../layers/onnx/codec/write-apart.ts'
import { encodeModel, writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { toTensor } from '../../../layers/onnx/evaluate/session-tensors.ts'
import { intsAttr, makeGraph, makeModel, makeNode, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { settleIrVersion } from '../../../layers/onnx/graph/opsets.ts'
import { upgradeOpset } from '../../../layers/onnx/graph/upgrade.ts'
import { inspectOnnx } from '../../../layers/onnx/inspect/inspect-onnx.ts'
import { optimizers } from '../../../layers/optimizers/index.ts'
import { judgedByOnnx, pythonWithOnnx } from '../../support/python-onnx.ts'
import { type OpsetCase, opsetCases } from './opset-cases.ts'
import { realModelPaths } from './real-models.ts'
import { seededGraphs } from './seeded-graphs.ts'

const python = pythonWithOnnx()
const scratch = mkdtempSync(join(tmpdir(), 'judge-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const at = (name: string): string => join(scratch, `${name.replace(/[^a-z0-9.-]+/gi, '_')}.onnx`)

const types: Readonly<Record<string, number>> = {
  float32: DataType.FLOAT,
  int64: DataType.INT64,
  int32: DataType.INT32,
  uint8: DataType.UINT8,
  bool: DataType.BOOL,
}

/** The model with the types and shapes that its outputs turn out to have, which the checker wants declared. */
const declared = async ({ model, feeds }: OpsetCase): Promise<ModelProto> => {
  const session = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 })
  const answer = await session.run(Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, toTensor(value)])))
  await session.release()
  const copy = readModel(encodeModel(model))
  for (const [at, { name = '' }] of (copy.graph?.output ?? []).entries()) {
    const tensor = answer[name]
    if (tensor instanceof ort.Tensor) copy.graph!.output[at] = makeValueInfo(name, types[tensor.type] ?? 0, [...tensor.dims])
  }
  return copy
}

/** What an optimizer would try on a model, for each precision it knows. */
const settingsOf = (optimizer: Optimizer, model_path: string): JsonObject[] => {
  const inspection = inspectOnnx(model_path)
  const wishes: JsonObject[] = [{}, ...(optimizer.precisions ?? []).map((precision) => ({ precision }))]
  const lists = wishes.map((metadata) =>
    optimizer.suits(inspection, { metadata, target_size_bytes: 1000, target_latency_ms: null }),
  )
  const all = lists.flatMap((list) => (typeof list === 'string' ? [] : list))
  return [...new Map(all.map((each) => [JSON.stringify(each), each])).values()]
}

/** Optimizers that train, which takes longer than a test may. */
const training = ['distillation', 'quantization-aware-training']

/** The first `most` candidates of every optimizer but those that train; what an optimizer refuses is left out. */
const optimized = async (model_path: string, most: number): Promise<string[]> => {
  const written: string[] = []
  for (const optimizer of optimizers.filter(({ name }) => !training.includes(name))) {
    for (const [index, settings] of settingsOf(optimizer, model_path).slice(0, most).entries()) {
      const candidate_path = at(`${optimizer.name}-${index}-${basename(model_path)}`)
      const paths = { model_path: resolve(model_path), candidate_path, calibration_path: null }
      if (
        await optimizer.apply({ ...paths, settings }).then(
          () => true,
          () => false,
        )
      )
        written.push(candidate_path)
    }
  }
  return written
}

const named = (part: string): string => realModelPaths().find((path) => path.includes(part)) ?? ''

/** A small network of convolutions in a file. */
const convolutions = (): string => {
  const { weight } = seededGraphs(5)
  const graph = makeGraph({
    nodes: [
      makeNode('Conv', ['x', 'w1', 'b1'], ['c1'], { attributes: [intsAttr('pads', [1, 1, 1, 1])] }),
      makeNode('Relu', ['c1'], ['r1']),
      makeNode('Conv', ['r1', 'w2'], ['c2']),
      makeNode('Relu', ['c2'], ['r2']),
      makeNode('GlobalAveragePool', ['r2'], ['pooled']),
      makeNode('Flatten', ['pooled'], ['flat']),
      makeNode('Gemm', ['flat', 'w3', 'b3'], ['y']),
    ],
    inputs: [makeValueInfo('x', DataType.FLOAT, ['N', 3, 12, 12])],
    outputs: [makeValueInfo('y', DataType.FLOAT, ['N', 40])],
    initializers: [
      weight('w1', [48, 3, 3, 3]),
      weight('b1', [48]),
      weight('w2', [48, 48, 3, 3]),
      weight('w3', [48, 40]),
      weight('b3', [40]),
    ],
  })
  writeModelFile(makeModel(graph), at('convolutions'))
  return at('convolutions')
}

/** Models that the official checker accepts, and then has nothing to say against what became of them. */
const complaints = (paths: readonly string[]): [string, string][] =>
  judgedByOnnx(python ?? '', paths).flatMap(([path, complaint]) => (complaint === null ? [] : [[basename(path), complaint]]))

if (python) {
  describe('the official checker and shape inference', () => {
    it('have nothing to say against operators carried to opset 21', async () => {
      const before: string[] = []
      const after: string[] = []
      for (const [index, given] of opsetCases.entries()) {
        const model = await declared(given)
        before.push(at(`before-${index}-${given.name}`))
        writeModelFile(model, before.at(-1)!)
        upgradeOpset(model, 21)
        settleIrVersion(model)
        after.push(at(`after-${index}-${given.name}`))
        writeModelFile(model, after.at(-1)!)
      }
      const doubtful = new Set(complaints(before).map(([name]) => name.replace('before', 'after')))
      expect(complaints(after).filter(([name]) => !doubtful.has(name))).toEqual([])
      expect(doubtful.size).toBeLessThan(opsetCases.length / 10)
    })

    it('have nothing to say against trained models that were read, carried to opset 21 and written', () => {
      const paths = realModelPaths().flatMap((path) => {
        const model = loadModel(path)
        const [same, raised, apart] = ['same', 'raised', 'apart'].map((kind) => at(`${kind}-${basename(path)}`)) as [
          string,
          string,
          string,
        ]
        writeModelFile(model, same)
        writeModelFiles(readModelFile(path), apart, { from_bytes: 1024 })
        upgradeOpset(model, 21)
        settleIrVersion(model)
        writeModelFile(model, raised)
        return [same, raised, apart]
      })
      expect(complaints(paths)).toEqual([])
    })

    it.each([
      ['dense layers', () => named('rhasspy'), 3],
      ['convolutions', convolutions, 1],
    ] as const)(
      'have nothing to say against candidates made of %s',
      async (_name, path, most) => {
        const paths = await optimized(path(), most)
        expect(new Set(paths.map((each) => basename(each).split('-')[0])).size).toBeGreaterThan(2)
        expect(complaints(paths)).toEqual([])
      },
      60_000,
    )

    it('do complain when there is reason to', () => {
      const broken = loadModel(named('rhasspy'))
      broken.graph!.node.reverse()
      writeFileSync(at('broken'), encodeModel(broken))
      expect(complaints([at('broken')])).toEqual([['broken.onnx', expect.stringMatching(/topologically sorted/)]])
    })
  })
} else describe('the official checker and shape inference', () => it.skip('left out: no Python with onnx here', () => {}))
