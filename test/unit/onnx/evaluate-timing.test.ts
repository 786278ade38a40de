import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { CompareOptions } from '../../../layers/onnx/evaluate/compare.ts'
import { compareApart } from '../../../layers/onnx/evaluate/compare-apart.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { pairedInterval, straddles } from '../../../layers/onnx/evaluate/paired-interval.ts'
import type { ModelRunner } from '../../../layers/onnx/evaluate/runner.ts'
import { interleave } from '../../../layers/onnx/evaluate/timing.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { denseModel, identityModel, memoryModel, writeModel } from '../../support/models.ts'

const folder = mkdtempSync(join(tmpdir(), 'compare-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, bytes: Uint8Array) => writeModel(join(folder, name), bytes)

describe('the interval of a latency reduction', () => {
  const noisy = (base: number, rounds: number) => Array.from({ length: rounds }, (_, at) => base * (1 + 0.5 * Math.sin(at)))

  it('keeps what both sides share out of it', () => {
    const original = noisy(10, 40)
    const candidate = original.map((time, at) => time * (at % 2 ? 0.79 : 0.81))
    const { estimate_percent, low_percent, high_percent, rounds } = pairedInterval(original, candidate)
    expect([low_percent, high_percent].map(Math.round)).toEqual([19, 21])
    expect(rounds).toBe(40)
    expect(pairedInterval(original, candidate)).toEqual({ estimate_percent, low_percent, high_percent, rounds })
  })

  it('always holds its own estimate, whatever the numbers', () => {
    const random = seededRandom(7)
    for (let world = 0; world < 300; world += 1) {
      const rounds = 1 + Math.floor(random() * 40)
      const skewed = (): number => 0.01 + random() ** (1 + (world % 9)) * 10 ** (world % 4)
      const [original, candidate] = [Array.from({ length: rounds }, skewed), Array.from({ length: rounds }, skewed)]
      const { estimate_percent, low_percent, high_percent } = pairedInterval(original, candidate)
      expect(low_percent).toBeLessThanOrEqual(estimate_percent)
      expect(high_percent).toBeGreaterThanOrEqual(estimate_percent)
    }
  })

  it('estimates by rounds, not by all runs of each side together', () => {
    // The machine is twice as slow in half of the rounds, for both; one round more of it changes p50, but no ratio.
    const original = Array.from({ length: 21 }, (_, at) => (at % 2 ? 10 : 20))
    const candidate = original.map((time) => 0.7 * time)
    expect(pairedInterval(original, candidate).estimate_percent).toBeCloseTo(30)
    expect(pairedInterval([...original, 10], [...candidate, 20]).estimate_percent).toBeCloseTo(30)
  })

  it('is wide where rounds disagree or are few, and then straddles the line', () => {
    const original = Array.from({ length: 20 }, () => 10)
    const candidate = original.map((time, at) => time * (at % 2 ? 0.8 : 1.3))
    expect(straddles(pairedInterval(original, candidate), -3)).toBe(true)
    expect(straddles(pairedInterval([10, 10], [10, 10]), -3)).toBe(true)
    expect(straddles(pairedInterval([10, 10], [7, 7]), -3)).toBe(false)
    expect(straddles(pairedInterval([10, 10], [13, 13]), -3)).toBe(false)
  })
})

describe('timing in turns', () => {
  /** A runner whose every run took as long as said; counts its turns. */
  const runner = (latency_ms: (turn: number) => number): Pick<ModelRunner, 'run'> & { turns: number } => {
    const made = {
      turns: 0,
      run: async (_: unknown, { runs = 1 }: { runs?: number }) => {
        made.turns += 1
        return { latencies_ms: Array.from({ length: runs }, () => latency_ms(made.turns)), outputs: {}, rss_bytes: 0 }
      },
    }
    return made
  }
  const timed = async (candidate_ms: (turn: number) => number, line_percent?: number) => {
    const [original, candidate] = [runner(() => 10), runner(candidate_ms)]
    const sides = [original, candidate].map((side) => ({ runner: side, rss_bytes: 0 }))
    const [a, b] = sides
    if (!a || !b) throw new Error('two sides')
    const options = { feeds: {}, budget_ms: 60_000, run_limit_ms: 1000, line_percent }
    const result = await interleave(a, b, options)
    expect(original.turns).toBe(candidate.turns)
    return { turns: original.turns, ...result }
  }

  it('goes on for as long again where the verdict is not clear, and only there', async () => {
    const clear = await timed(() => 5, -3)
    expect(clear.interval).toMatchObject({ low_percent: 50, high_percent: 50 })
    const unclear = await timed((turn) => (turn % 2 ? 8 : 13), -3)
    expect(unclear.original.runs).toBe(2 * clear.original.runs)
    expect((await timed((turn) => (turn % 2 ? 8 : 13))).original.runs).toBe(clear.original.runs)
  })
})

describe('a comparison in a process of its own', () => {
  const request = (path: string, changes: Partial<CompareOptions> = {}): CompareOptions => ({
    original_path: path,
    candidate_path: path,
    budget_ms: 100,
    threads: 1,
    memory_limit_bytes: 600 * 2 ** 20,
    load_limit_ms: 20_000,
    run_limit_ms: 5000,
    ...changes,
  })
  const dense = file('dense.onnx', denseModel([8, 4]))

  it('answers as one here would', async () => {
    const { fidelity, interval, original } = await compareApart(request(dense, { budget_ms: 1000 }), 30_000)
    expect(fidelity).toMatchObject({ sqnr_db: 200, top1_agreement: 1, rows: 128 })
    expect(fidelity.classes_seen).toBeGreaterThan(1)
    expect(interval.rounds).toBeGreaterThan(5)
    expect(original.runs).toBeGreaterThanOrEqual(30)
  })

  it('stops a file of arrays that unpacks beyond its memory, and says when arrays do not fit', async () => {
    const bomb = npyBytes('<f4', [2 ** 25], new Uint8Array(2 ** 27))
    const packed = file('bomb.npz', npzBytes({ 'x.npy': bomb }, 8))
    await expect(
      compareApart(request(dense, { calibration_path: packed, memory_limit_bytes: 160 * 2 ** 20 }), 30_000),
    ).rejects.toMatchObject({
      reason: expect.stringMatching(/^(memory|crashed)$/),
      message: expect.stringContaining('The comparison'),
    })
    const short = file('short.npy', npyBytes('<f4', [2, 3], new Uint8Array(24)))
    await expect(compareApart(request(dense, { calibration_path: short }), 30_000)).rejects.toMatchObject({
      name: 'ArrayFault',
      message: expect.stringContaining('has shape [2,3]; wanted [samples, 8]'),
    })
  })

  it('is not impressed by inputs called like members of every object', async () => {
    const odd = file('odd.onnx', identityModel('FP32', ['n', 3], { input: 'constructor' }))
    const { row_shapes } = await compareApart(request(odd, { shapes: {} }), 30_000)
    expect(row_shapes).toEqual({ constructor: [1, 3] })
  })

  it('says which output was meant to decide and cannot', async () => {
    await expect(compareApart(request(dense, { class_output: 'labels' }), 30_000)).rejects.toThrow(
      "The output said to decide, labels, is none of the model's: y",
    )
    const single = file('single.onnx', denseModel([8, 1]))
    await expect(compareApart(request(single, { class_output: 'y' }), 30_000)).rejects.toThrow('holds no scores of two classes')
  })

  it('ends with its limit', async () => {
    const huge = file('huge.onnx', memoryModel())
    await expect(compareApart(request(huge), 1)).rejects.toMatchObject({ reason: 'timeout' })
  })
})
