import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { latencyIntervals } from '../../../layers/onnx/evaluate/latency-interval.ts'
import { pairedShareInterval, scorePair, wilsonInterval } from '../../../layers/onnx/evaluate/task-intervals.ts'
import { ratioTally } from '../../../layers/onnx/evaluate/task-tally.ts'

const Z = 1.959_964

describe('intervals of shares', () => {
  it('are Wilson’s', () => {
    // Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    const published = [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const
    for (const [right, count, low, high] of published) {
      const interval = wilsonInterval(right, count)
      expect(interval[0]).toBeCloseTo(low, 4)
      expect(interval[1]).toBeCloseTo(high, 4)
    }
  })

  it('of differences are Tango’s: wide without a single difference, mirrored when the sides change', () => {
    const [low, high] = pairedShareInterval(0, 0, 100)
    expect(high).toBeCloseTo(Z ** 2 / (100 + Z ** 2), 6)
    expect(low).toBeCloseTo(-high, 6)
    const [a, b] = pairedShareInterval(12, 2, 80)
    const [c, d] = pairedShareInterval(2, 12, 80)
    expect([a, b].map((each) => each.toFixed(6))).toEqual([-d, -c].map((each) => each.toFixed(6)))
    expect(a).toBeGreaterThan(0)
    expect(b).toBeLessThan(0.25)
  })

  it('of differences hold the truth about as often as they say', () => {
    const random = seededRandom(11)
    const [lose, win, count, rounds] = [0.04, 0.02, 300, 1500]
    let held = 0
    for (let round = 0; round < rounds; round += 1) {
      let [lost, won] = [0, 0]
      for (let row = 0; row < count; row += 1) {
        const drawn = random()
        if (drawn < lose) lost += 1
        else if (drawn < lose + win) won += 1
      }
      const [low, high] = pairedShareInterval(lost, won, count)
      if (low <= lose - win && lose - win <= high) held += 1
    }
    expect(held / rounds).toBeGreaterThan(0.93)
    expect(held / rounds).toBeLessThan(0.975)
  })
})

describe('intervals by resampling rows', () => {
  const tally = (rows: [number, number][]) => {
    const made = ratioTally((_, label) => rows[Number(label)] ?? [0, 0])
    for (const at of rows.keys()) made.add({}, at, at)
    return { add: made.add, value: made.value }
  }

  it('pair the rows: what both models miss alike is no loss', () => {
    const random = seededRandom(3)
    const before = Array.from({ length: 200 }, (): [number, number] => [Math.floor(10 * random()), 10])
    const after = before.map(([edits, length]): [number, number] => [edits + 1, length])
    const pair = { original: tally(before), candidate: tally(after), rows: 200, sign: -1 as const, bounded: true }
    const { original, loss } = scorePair(pair)
    expect(loss.value).toBeCloseTo(0.1, 12)
    expect(loss.interval[1] - loss.interval[0]).toBeLessThan(0.05)
    expect(original.interval[1] - original.interval[0]).toBeGreaterThan(0.05)
    expect(scorePair(pair)).toEqual(scorePair(pair))
  })

  it('are not certain where nothing differed in few rows', () => {
    const same: [number, number][] = [
      [0, 10],
      [1, 10],
      [0, 10],
    ]
    const { loss } = scorePair({ original: tally(same), candidate: tally(same), rows: 3, sign: -1, bounded: true })
    expect(loss.value).toBe(0)
    expect(loss.interval[1]).toBeGreaterThan(0.5)
    const unbounded = scorePair({ original: tally(same), candidate: tally(same), rows: 3, sign: -1, bounded: false }).loss
    expect(unbounded.interval[1]).toBeCloseTo((1 / 30) * (Z ** 2 / (3 + Z ** 2)), 12)
  })
})

describe('intervals of latencies', () => {
  it('hold the percentile of what was measured, narrower with more turns', () => {
    const random = seededRandom(5)
    const turns = Array.from({ length: 60 }, () => Array.from({ length: 20 }, () => 10 + random()))
    const { p50_interval_ms, p95_interval_ms } = latencyIntervals(turns)
    expect(p50_interval_ms[0]).toBeLessThan(10.5)
    expect(p50_interval_ms[1]).toBeGreaterThan(10.5)
    expect(p95_interval_ms[0]).toBeLessThan(10.95)
    expect(p95_interval_ms[1]).toBeGreaterThan(10.95)
    const few = latencyIntervals(turns.slice(0, 8)).p50_interval_ms
    expect(few[1] - few[0]).toBeGreaterThan(p50_interval_ms[1] - p50_interval_ms[0])
    expect(latencyIntervals(turns)).toEqual({ p50_interval_ms, p95_interval_ms })
  })

  it('know that runs of one turn share what the machine did', () => {
    const slow_turns = Array.from({ length: 20 }, (_, turn) => Array.from({ length: 50 }, () => (turn % 2 ? 10 : 20)))
    const mixed = Array.from({ length: 20 }, () => Array.from({ length: 50 }, (_, run) => (run % 2 ? 10 : 20)))
    const width = ([low, high]: [number, number]) => high - low
    expect(width(latencyIntervals(slow_turns).p50_interval_ms)).toBe(10)
    expect(width(latencyIntervals(mixed).p50_interval_ms)).toBe(0)
  })

  it('of few turns are all that was seen', () => {
    expect(latencyIntervals([[3, 1], [2]])).toEqual({ p50_interval_ms: [1, 3], p95_interval_ms: [1, 3] })
  })
})
