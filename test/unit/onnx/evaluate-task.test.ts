import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import { type CompareOptions, compare } from '../../../layers/onnx/evaluate/compare.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { startRunner } from '../../../layers/onnx/evaluate/runner.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { denseModel, loopModel, writeModel } from '../../support/models.ts'
import { realModel } from '../../support/optimization-lab.ts'

const folder = mkdtempSync(join(tmpdir(), 'task-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, bytes: Uint8Array) => writeModel(join(folder, name), bytes)
const options = (original_path: string, changes: Partial<CompareOptions> = {}): CompareOptions => ({
  original_path,
  candidate_path: original_path,
  budget_ms: 1500,
  threads: 1,
  memory_limit_bytes: 2 ** 31,
  load_limit_ms: 20_000,
  run_limit_ms: 5000,
  ...changes,
})

const random = seededRandom(1)
const FEATURES = 16
const CLASSES = 5
const original = file('original.onnx', denseModel([FEATURES, CLASSES]))
const other = file('other.onnx', denseModel([FEATURES, 32, CLASSES]))

/** Rows of noise, and what the original makes of them, one in ten changed. */
async function labelled(name: string, count: number): Promise<{ path: string; right: number }> {
  const x = Float32Array.from({ length: count * FEATURES }, () => 2 * random() - 1)
  const session = await InferenceSession.create(original)
  const { y } = await session.run({ x: new Tensor('float32', x, [count, FEATURES]) })
  await session.release()
  if (!(y instanceof Tensor)) throw new Error('no scores')
  const scores = y.data as Float32Array
  const labels = Uint8Array.from({ length: count }, (_, row) => {
    const mine = scores.subarray(row * CLASSES, (row + 1) * CLASSES)
    const best = mine.indexOf(Math.max(...mine))
    return row % 10 === 0 ? (best + 1) % CLASSES : best
  })
  const arrays = {
    'x.npy': npyBytes('<f4', [count, FEATURES], new Uint8Array(x.buffer)),
    'labels.npy': npyBytes('|u1', [count], labels),
  }
  return { path: file(name, npzBytes(arrays, 8)), right: 1 - Math.ceil(count / 10) / count }
}

describe('comparing by labels', () => {
  it('judges thousands of rows, of which none fitted anything', async () => {
    const fitted = await labelled('calibration.npz', 200)
    const { path, right } = await labelled('evaluation.npz', 3000)
    const { fidelity, task } = await compare(
      options(original, { evaluation_path: path, calibration_path: fitted.path, budget_ms: 20_000 }),
    )
    expect(fidelity).toMatchObject({ rows: 3000, rows_available: 3000, rows_shared: 0, inputs: 'supplied', kl_divergence: 0 })
    expect(task).toMatchObject({ metric: 'accuracy', rows: 3000, loss: { value: 0 } })
    expect(task?.original.value).toBeCloseTo(right, 12)
    expect(task?.loss.interval[1]).toBeLessThan(0.002)
  })

  it('finds what a worse candidate loses', async () => {
    const { path, right } = await labelled('some.npz', 400)
    const { task, fidelity } = await compare(options(original, { candidate_path: other, evaluation_path: path }))
    // A fifth of evaluation data alone is for those who fit.
    expect([task?.rows, fidelity.rows_available, fidelity.rows_shared]).toEqual([320, 320, 0])
    expect(Math.abs((task?.original.value ?? 0) - right)).toBeLessThan(0.03)
    expect(task?.loss.interval[0]).toBeGreaterThan(0.4)
    expect(fidelity.kl_divergence).toBeGreaterThan(0)
  })

  it('says that rows judged are rows fitted to', async () => {
    const { path } = await labelled('same.npz', 150)
    const both = await compare(options(original, { calibration_path: path, evaluation_path: path }))
    expect(both.fidelity).toMatchObject({ rows: 150, rows_shared: 150 })
    const unlike = await labelled('unlike.npz', 150)
    const apart = await compare(options(original, { calibration_path: unlike.path, evaluation_path: path }))
    expect(apart.fidelity).toMatchObject({ rows: 150, rows_shared: 0 })
  })

  it('ends with its time and says how many rows there were', async () => {
    const { path } = await labelled('many.npz', 20_000)
    const { fidelity, task } = await compare(options(original, { evaluation_path: path, budget_ms: 60 }))
    expect(fidelity.rows_available).toBe(20_000 - 1024)
    expect(fidelity.rows).toBeLessThan(fidelity.rows_available)
    expect(task?.rows).toBe(fidelity.rows)
  })

  it('reads what a task says, and refuses labels that do not fit, naming the row', async () => {
    const { path } = await labelled('said.npz', 130)
    const f1 = await compare(options(original, { evaluation_path: path, task: { metric: 'f1', output: 'y' } }))
    expect(f1.task).toMatchObject({ metric: 'f1', loss: { value: 0 } })
    const wrong = join(folder, 'wrong.jsonl')
    const line = (label: unknown) => JSON.stringify({ x: Array.from({ length: FEATURES }, () => 0), label })
    writeFileSync(wrong, [line(0), line(5), line(1)].join('\n'))
    await expect(compare(options(original, { evaluation_path: wrong }))).rejects.toMatchObject({
      name: 'ArrayFault',
      message: 'Row 1 has the label 5; wanted whole numbers from 0 to 4, the classes of the output',
    })
  })

  it('judges a real wake word by its one probability', async () => {
    const path = realModel('alexa_v0.1.onnx')
    const features = join(folder, 'features.jsonl')
    const session = await InferenceSession.create(path)
    const lines: string[] = []
    for (let at = 0; at < 20; at += 1) {
      const x = Float32Array.from({ length: 16 * 96 }, () => (at % 2 ? 20 : 1) * (random() - 0.5))
      const answer = await session.run({ [session.inputNames[0]!]: new Tensor('float32', x, [1, 16, 96]) })
      const probability = Number(answer[session.outputNames[0]!]?.data[0])
      const label = Number(probability >= 0.5) === Number(at !== 7)
      lines.push(JSON.stringify({ inputs: [{ name: session.inputNames[0], shape: [1, 16, 96], data: [...x] }], label }))
    }
    await session.release()
    writeFileSync(features, lines.join('\n'))
    const { task } = await compare(options(path, { evaluation_path: features }))
    expect(task).toMatchObject({ metric: 'accuracy', rows: 20, original: { value: 0.95 }, loss: { value: 0 } })
  })

  it('reads real words off pictures, of any width', async () => {
    const { readFileSync } = await import('node:fs')
    const { dirname } = await import('node:path')
    const { modelPath, render, width } = await import('../../../examples/demo/words.ts')
    const keys = readFileSync(join(dirname(modelPath), 'ppocr_keys_v1.txt'), 'utf8')
      .trimEnd()
      .split('\n')
    const words = ['Deploy', 'model', 'quick', '2026']
    const rows = words.map((word) => {
      const picture = render(word)
      const narrow = 160
      const data = Array.from({ length: 3 * 48 * narrow }, (_, at) => picture[Math.floor(at / narrow) * width + (at % narrow)])
      return JSON.stringify({ inputs: [{ name: 'x', shape: [1, 3, 48, narrow], data }], label: word })
    })
    const whole = Array.from(render('width'))
    rows.push(JSON.stringify({ x: { shape: [1, 3, 48, width], data: whole }, label: 'wrong' }))
    const path = join(folder, 'words.jsonl')
    writeFileSync(path, rows.join('\n'))
    const alphabet = [...keys, ' ']
    const read = await compare(options(modelPath, { evaluation_path: path, task: { alphabet }, budget_ms: 2000 }))
    expect(read.task).toMatchObject({ metric: 'exact_match', rows: 5, original: { value: 0.8 }, candidate: { value: 0.8 } })
  })
})

describe('many rows in one message', () => {
  it('answer each for itself, and end with their time together', async () => {
    const runner = startRunner({ model_path: original, memory_limit_bytes: 2 ** 30 })
    const row = (value: number) => ({
      x: { type: 'float32', dims: [1, FEATURES], bytes: new Uint8Array(new Float32Array(FEATURES).fill(value).buffer) },
    })
    try {
      await runner.load(10_000)
      const together = await runner.runRows([row(1), row(2)], { timeout_ms: 5000 })
      const { outputs } = await runner.run(row(2), { want_outputs: true, timeout_ms: 5000 })
      expect(together).toHaveLength(2)
      expect(together[1]).toEqual(outputs)
      expect(together[0]).not.toEqual(outputs)
    } finally {
      await runner.stop()
    }
    const endless = startRunner({ model_path: file('endless.onnx', loopModel(true)), memory_limit_bytes: 2 ** 30 })
    const count = { type: 'int64', dims: [1], bytes: new Uint8Array(BigInt64Array.of(1n).buffer) }
    try {
      await endless.load(10_000)
      await expect(endless.runRows([{ count }, { count }], { timeout_ms: 300 })).rejects.toMatchObject({ reason: 'timeout' })
    } finally {
      await endless.stop()
    }
  })
})
