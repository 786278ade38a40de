import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import { readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import type { Feeds } from '../../../layers/onnx/evaluate/tensors.ts'
import { intAttr, intsAttr, makeNode } from '../../../layers/onnx/graph/build.ts'
import { storeInt8 } from '../../../layers/onnx/quantize/stored-int8.ts'
import { quantizeWeightsOnly } from '../../../layers/onnx/quantize/weight-only.ts'
import { copyOf, model, operators, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const folder = mkdtempSync(join(tmpdir(), 'stored-'))
afterAll(() => rmSync(folder, { recursive: true }))
const { weight, sample } = seededGraphs(43)

/** A depthwise and two plain convolutions; the first one's error is spread over everything after it. */
const convolutions = () =>
  model(
    [
      makeNode('Conv', ['x', 'a'], ['p'], { attributes: [intsAttr('pads', [1, 1, 1, 1])] }),
      makeNode('Conv', ['p', 'd'], ['q'], { attributes: [intAttr('group', 120), intsAttr('pads', [1, 1, 1, 1])] }),
      makeNode('Relu', ['q'], ['r']),
      makeNode('Conv', ['r', 'b'], ['y']),
    ],
    [weight('a', [120, 4, 3, 3]), weight('d', [120, 1, 3, 3], 1), weight('b', [32, 120, 1, 1])],
    [1, 4, 12, 12],
  )

/** Neighbouring pixels go together, as in pictures. */
const smooth = (): Feeds => {
  const feeds = sample([1, 4, 12, 12])
  const { x } = feeds
  if (!x || 'texts' in x) throw new Error('wanted numbers')
  const values = new Float32Array(x.bytes.buffer)
  for (let at = 1; at < values.length; at++) values[at] = 0.95 * values[at - 1]! + 0.3 * values[at]!
  return feeds
}
const samples = Array.from({ length: 12 }, smooth)
const job = { samples, ordered: false }

/** Operators that are left once the runtime has loaded it. */
const loaded = async (made: ModelProto): Promise<(string | undefined)[]> => {
  const optimizedModelFilePath = join(folder, 'loaded.onnx')
  const session = await InferenceSession.create(encodeModel(made), {
    graphOptimizationLevel: 'basic',
    optimizedModelFilePath,
    logSeverityLevel: 4,
  })
  await session.release()
  return operators(readModelFile(optimizedModelFilePath))
}

describe('weights stored as int8', () => {
  it('are floats again once loaded: nothing more is computed than before', async () => {
    const original = convolutions()
    const made = await storeInt8(copyOf(original), { ...job })
    expect(made.quantized).toEqual({ Conv: 3 })
    expect(made.halves).toEqual(['q'])
    expect(encodeModel(made.model).length).toBeLessThan(0.4 * encodeModel(original).length)
    expect(await loaded(made.model)).toEqual(await loaded(original))
    expect(await sqnrOf(original, made.model, samples)).toBeGreaterThan(30)
  })

  it('lose less when rounded in order by rows of the real kind', async () => {
    const original = convolutions()
    const plain = await storeInt8(copyOf(original), { ...job })
    const ordered = await storeInt8(copyOf(original), { ...job, ordered: true })
    const unseen = Array.from({ length: 6 }, smooth)
    expect(await sqnrOf(original, ordered.model, unseen)).toBeGreaterThan((await sqnrOf(original, plain.model, unseen)) + 2)
    expect(ordered.sqnr_db).toBeGreaterThan(30)
  })

  it('have more bits where that holds an SQNR, as few as it takes', async () => {
    const original = convolutions()
    const all_int8 = copyOf(original)
    quantizeWeightsOnly(all_int8, { widen: 'load' })
    const pure = await sqnrOf(original, all_int8, samples)
    const made = await storeInt8(copyOf(original), { ...job, hold_sqnr_db: pure + 1 })
    expect(made.finer.size).toBeGreaterThan(0)
    expect(made.finer.size).toBeLessThan(3)
    expect(made.sqnr_db).toBeGreaterThanOrEqual(pure + 1)
    await expect(storeInt8(copyOf(original), { ...job, hold_sqnr_db: 20 })).rejects.toThrow('No weight needs more than 8 bits')
    await expect(storeInt8(copyOf(original), { ...job, hold_sqnr_db: 150 })).rejects.toThrow(
      'Not even with 12 bits are 150 dB kept',
    )
  })

  it('have more bits as far as a file has room, the most sensitive first', async () => {
    const original = convolutions()
    const tight = await storeInt8(copyOf(original), { ...job, most_bytes: 12_800 })
    const pure = encodeModel(tight.model).length
    const room = await storeInt8(copyOf(original), { ...job, most_bytes: pure + 5500 })
    const size = encodeModel(room.model).length
    expect(size).toBeLessThanOrEqual(pure + 5500)
    expect(size).toBeGreaterThan(pure + 1500)
    expect(room.finer.get('q')).toBe(12)
    expect(tight.finer.size).toBe(0)
    expect(await sqnrOf(original, room.model, samples)).toBeGreaterThan((await sqnrOf(original, tight.model, samples)) + 3)
    expect(await loaded(room.model)).toEqual(await loaded(original))
    await expect(storeInt8(copyOf(original), { ...job, most_bytes: 1000 })).rejects.toThrow(
      /as int8 take \d+ bytes; wanted at most 1000/,
    )
  })
})
