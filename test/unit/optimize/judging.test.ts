import { describe, expect, it } from 'vitest'
import { chooseCandidate } from '../../../layers/core/domain/choose-candidate.ts'
import type { Asked, Evidence } from '../../../layers/core/domain/evidence.ts'
import { accuracyChange, isFarUnfaithful } from '../../../layers/core/domain/faithfulness.ts'
import { inferenceCost } from '../../../layers/core/domain/inference-cost.ts'
import { judgeCandidate } from '../../../layers/core/domain/judge-candidate.ts'
import type { Attempt, TaskResult } from '../../../layers/core/domain/optimization.ts'
import { int8Of, OptimizationTarget, servingTarget } from '../../../layers/core/domain/optimization-target.ts'
import { paretoFront } from '../../../layers/core/domain/pareto.ts'
import { priceBookFrom } from '../../../layers/core/domain/price.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'

const asked: Asked = { metadata: {}, target_size_bytes: null, target_latency_ms: null }
const task = (loss: number, interval: [number, number], metric: TaskResult['metric'] = 'accuracy'): TaskResult => ({
  metric,
  rows: 500,
  original: { value: 0.9, interval: [0.87, 0.92] },
  candidate: { value: 0.9 - loss, interval: [0.86, 0.92] },
  loss: { value: loss, interval },
})
const evidence = (
  changes: { sqnr?: number; top1?: number; task?: TaskResult; size?: number; p50?: number; original_p50?: number } = {},
): Evidence => ({
  original: { size_bytes: 1000, p50_ms: changes.original_p50 ?? 10, p95_ms: 12, runs: 30, rss_bytes: 40 * 2 ** 20 },
  candidate: { size_bytes: changes.size ?? 300, p50_ms: changes.p50 ?? 8, p95_ms: 9, runs: 30, rss_bytes: 10 * 2 ** 20 },
  fidelity: {
    sqnr_db: changes.sqnr ?? 40,
    cosine: 1,
    max_abs_error: 0.1,
    top1_agreement: changes.top1 ?? null,
    classes_seen: 9,
    rows: 128,
    inputs: 'supplied',
  },
  task: changes.task,
})

describe('with labels a candidate is judged', () => {
  it.each([
    // Surely within the gate, however noisy the outputs are.
    [{ sqnr: 3, task: task(0.002, [-0.004, 0.009]) }, 'accepted', 'accuracy 0.9 → 0.898, loss 0.002 (95 %: -0.004 to 0.009)'],
    [
      { sqnr: 60, task: task(0.02, [0.005, 0.035]) },
      'rejected',
      /^Unfaithful: accuracy 0.9 → 0.88, loss 0.02 .*wanted a loss of at most 0.01/,
    ],
    // The interval holds the gate: the outputs decide.
    [{ sqnr: 40, task: task(0.005, [-0.01, 0.02]) }, 'accepted', /is inconclusive with 500 rows$/],
    [{ sqnr: 10, task: task(0.005, [-0.01, 0.02]) }, 'rejected', /^Unfaithful: SQNR 10 dB .*is inconclusive with 500 rows$/],
  ])('%o: %s', (changes, verdict, reason) => {
    expect(judgeCandidate(evidence(changes), asked)).toEqual({
      verdict,
      reason: typeof reason === 'string' ? expect.stringContaining(reason) : expect.stringMatching(reason),
    })
  })

  it('by the outputs where labels were only glimpsed at, unless they are sure', () => {
    const glimpse = (loss: TaskResult['loss'], rows: number, rows_available: number) => {
      const seen = evidence({ sqnr: 33, task: { ...task(loss.value, loss.interval), rows } })
      return judgeCandidate({ ...seen, fidelity: { ...seen.fidelity, rows, rows_available } }, asked)
    }
    const one_of_14 = { value: 0.0714, interval: [-0.159, 0.315] as [number, number] }
    expect(glimpse(one_of_14, 14, 1200)).toMatchObject({
      verdict: 'accepted',
      reason: expect.stringMatching(/loss 0\.0714 .* is inconclusive with 14 rows$/),
    })
    expect(glimpse(one_of_14, 14, 14).verdict).toBe('rejected')
    expect(glimpse({ value: 0.02, interval: [-0.01, 0.05] }, 300, 1200).verdict).toBe('rejected')
    expect(glimpse({ value: 0.5, interval: [0.3, 0.7] }, 14, 1200).verdict).toBe('rejected')
  })

  it('by a gate beside metadata rather than the one inside', () => {
    const lossy = evidence({ task: task(0.03, [0.02, 0.04]) })
    expect(judgeCandidate(lossy, { ...asked, metadata: { accuracy_gate: { task_loss: 0.1 } } }).verdict).toBe('accepted')
    expect(
      judgeCandidate(lossy, { ...asked, accuracy_gate: { task_loss: 0.01 }, metadata: { accuracy_gate: { task_loss: 0.1 } } })
        .verdict,
    ).toBe('rejected')
    expect(judgeCandidate(evidence({ top1: 0.95 }), { ...asked, accuracy_gate: 0.9 }).verdict).toBe('accepted')
  })

  it('with an accuracy change of the metric itself, in points for shares and relative for errors', () => {
    expect(accuracyChange(evidence({ top1: 0.5, task: task(0.0123, [0, 0.02]) }))).toBe(-1.23)
    expect(accuracyChange(evidence({ task: task(-0.01, [-0.02, 0]) }))).toBe(1)
    expect(accuracyChange(evidence({ task: task(0.09, [0, 0.1], 'rmse') }))).toBe(-10)
  })
})

describe('few rows', () => {
  const by = (rows: number, changes: Partial<Evidence['fidelity']> = {}, seen = evidence({ sqnr: 60 })) =>
    judgeCandidate({ ...seen, fidelity: { ...seen.fidelity, rows, ...changes } }, asked)

  it.each([
    [1, {}, 'Inconclusive: SQNR 60 dB over 1 supplied row; wanted at least 8 different rows'],
    [7, { rows_different: 7 }, 'Inconclusive: SQNR 60 dB over 7 supplied rows; wanted at least 8 different rows'],
    [
      100,
      { rows_different: 1 },
      'Inconclusive: SQNR 60 dB over 100 supplied rows, 1 of them different and answered with numbers; wanted at least 8 different rows',
    ],
  ])('%i of them, %o, prove nothing', (rows, changes, reason) => {
    expect(by(rows, changes)).toEqual({ verdict: 'rejected', reason })
  })

  it('are enough from eight on, or where rows are generated or hold many samples each', () => {
    expect(by(8, { rows_different: 8 }).verdict).toBe('accepted')
    expect(by(3, { rows_different: 8 }).verdict).toBe('accepted')
    expect(by(3, { inputs: 'generated' }).verdict).toBe('accepted')
  })

  it('are not made enough by labels, but may be enough to refuse', () => {
    expect(by(1, {}, evidence({ task: { ...task(0, [0, 0]), rows: 1 } })).reason).toMatch(/^Inconclusive/)
    expect(by(1, {}, evidence({ sqnr: 3 })).reason).toMatch(/^Unfaithful: SQNR 3 dB over 1 supplied row;/)
  })

  it('that prove nothing although they were supplied are not asked for again', () => {
    const { fidelity, ...seen } = evidence()
    const silent = judgeCandidate({ ...seen, fidelity: { ...fidelity, sqnr_db: null } }, asked)
    expect(silent).toEqual({
      verdict: 'rejected',
      reason: expect.stringContaining('answers 128 supplied rows with nothing but zeros'),
    })
    expect(silent.reason).not.toContain('calibration data')
  })
})

it('far off is six decibels below the gate, or three times what it admits', () => {
  expect(isFarUnfaithful(evidence({ sqnr: 14.1 }), asked)).toBe(false)
  expect(isFarUnfaithful(evidence({ sqnr: 14 }), asked)).toBe(true)
  expect(isFarUnfaithful(evidence({ sqnr: 1, top1: 0.98 }), asked)).toBe(false)
  expect(isFarUnfaithful(evidence({ sqnr: 40, top1: 0.96 }), asked)).toBe(true)
  expect(isFarUnfaithful(evidence({ task: task(0.02, [0.015, 0.03]) }), asked)).toBe(false)
  expect(isFarUnfaithful(evidence({ task: task(0.04, [0.015, 0.03]) }), asked)).toBe(true)
  expect(isFarUnfaithful(evidence({ sqnr: 30 }), asked)).toBe(false)
})

describe('the Pareto front', () => {
  const attempt = (changes: Parameters<typeof evidence>[0]): Attempt => ({
    name: 'a',
    settings: {},
    verdict: 'rejected',
    reason: '',
    ...evidence(changes),
  })

  it('holds what nothing equals or beats in bytes, latency and loss, fewest bytes first', () => {
    const attempts = [
      attempt({ size: 500, p50: 8, sqnr: 60 }),
      attempt({ size: 300, p50: 5, sqnr: 40 }),
      // Beaten by the one before in all three, equal to it, and one that was never measured.
      attempt({ size: 310, p50: 6, sqnr: 39 }),
      attempt({ size: 300, p50: 5, sqnr: 40 }),
      { name: 'b', settings: {}, verdict: 'failed' as const, reason: 'No' },
      attempt({ size: 100, p50: 9, sqnr: 12 }),
      // The original beats it.
      attempt({ size: 1000, p50: 11, sqnr: 80 }),
    ]
    expect(paretoFront(attempts)).toEqual([5, 1, 0])
    expect(paretoFront([])).toEqual([])
  })

  it('compares latencies as shares of the original’s, since a machine is not equally fast all day', () => {
    const slow_hour = attempt({ size: 300, p50: 16, original_p50: 40 })
    expect(paretoFront([attempt({ size: 300, p50: 8 }), slow_hour])).toEqual([1])
  })

  it('counts the loss of the task where all have labels', () => {
    const worse = attempt({ size: 300, p50: 5, sqnr: 50, task: task(0.05, [0, 0.1]) })
    const better = attempt({ size: 300, p50: 5, sqnr: 20, task: task(0.01, [0, 0.1]) })
    expect(paretoFront([worse, better])).toEqual([1])
  })
})

describe('a thousand inferences on Lambda', () => {
  const prices = snapshotPrices()

  it('cost GB-seconds of the memory the model needs, more of them where less memory is less CPU, and requests', () => {
    const cost = inferenceCost('lambda-arm64', evidence(), { prices, measured_on: 'arm64' })
    // 40 MiB · 1.3 + 100 MB → 256 MB; 1769/256 · 10 ms = 69.1 → 70 ms; 10 · 1.3 + 100 → 128 MB; 1769/128 · 8 = 110.6 → 111 ms.
    expect(cost.original_usd).toBeCloseTo(1000 * (0.07 * 0.25 * 0.0000133334 + 0.0000002), 9)
    expect(cost.candidate_usd).toBeCloseTo(1000 * (0.111 * 0.125 * 0.0000133334 + 0.0000002), 9)
    expect(cost.basis).toBe(
      `AWS Lambda arm64 us-east-1 (256 MB, candidate 128 MB), price list ${prices.version}; p50 of one thread, of which less than 1769 MB gives a share`,
    )
  })

  it('say where the latency comes from when not from there, and what memory was asked for', () => {
    const cost = inferenceCost('lambda-x86_64-2048', evidence(), { prices, measured_on: 'arm64' })
    expect(cost.candidate_usd).toBeCloseTo(1000 * (0.008 * 2 * 0.0000166667 + 0.0000002), 9)
    expect(cost.basis).toMatch(/2048 MB, candidate 2048 MB.*the latency was measured on arm64, not there$/)
  })

  it('are unknown, never free, without a price, without a known memory and on a machine of one’s own', () => {
    const none = priceBookFrom('empty', [])
    expect(inferenceCost('lambda-arm64', evidence(), { prices: none, measured_on: 'x64' })).toMatchObject({
      original_usd: null,
      candidate_usd: null,
      basis: expect.stringContaining('no price for aws/lambda/arm64/gb-second and aws/lambda/request in price list empty'),
    })
    const { original, candidate } = evidence()
    const { rss_bytes: _, ...unknown } = candidate
    expect(inferenceCost('lambda-arm64', { original, candidate: unknown }, { prices, measured_on: 'x64' })).toMatchObject({
      candidate_usd: null,
    })
    expect(inferenceCost('this-machine', evidence(), { prices, measured_on: 'x64' })).toMatchObject({
      original_usd: null,
      candidate_usd: null,
    })
  })

  it.each([
    ['this-machine', { kind: 'this-machine' }, undefined],
    ['lambda-arm64', { kind: 'lambda', architecture: 'arm64' }, 'arm'],
    ['lambda-x86_64-3008', { kind: 'lambda', architecture: 'x86_64', memory_mb: 3008 }, 'avx2'],
    ['lambda-arm64-127', undefined, undefined],
    ['lambda-arm64-10241', undefined, undefined],
    ['lambda-riscv', undefined, undefined],
    ['lambda-arm64-', undefined, undefined],
  ])('are for a target that is read as such: %s', (text, target, int8) => {
    expect(servingTarget(text)).toEqual(target)
    expect(OptimizationTarget.safeParse(text).success).toBe(target !== undefined)
    expect(int8Of(text)).toBe(int8)
  })
})

describe('slower than the original', () => {
  const slow = { ...evidence({ size: 260, p50: 12 }), latency_interval: { low_percent: -25, high_percent: -15, rounds: 30 } }
  const even = { ...evidence({ size: 270, p50: 10 }), latency_interval: { low_percent: -1, high_percent: 1, rounds: 30 } }
  const wanting = { ...asked, target_size_bytes: 280 }

  it('is permitted by a wanted size only to what has it', () => {
    expect(judgeCandidate(slow, wanting)).toMatchObject({
      verdict: 'accepted',
      reason: expect.stringContaining('target_size permits'),
    })
    expect(judgeCandidate(slow, { ...asked, target_size_bytes: 200 })).toMatchObject({
      verdict: 'rejected',
      reason: expect.stringMatching(/^Slower/),
    })
  })

  it('surely, even by two per cent, comes after what is not, but before what is more so', () => {
    const at = (p50_ms: number, size_bytes: number, [low_percent, high_percent]: [number, number]): Attempt => ({
      name: 'x',
      settings: {},
      verdict: 'accepted',
      reason: '',
      ...evidence({ size: size_bytes, p50: p50_ms }),
      latency_interval: { low_percent, high_percent, rounds: 30 },
    })
    const [slower, faster, much] = [at(10.2, 100, [-2.4, -1.6]), at(9, 270, [5, 15]), at(13, 90, [-33, -27])]
    expect(chooseCandidate([much, slower, faster], wanting)).toMatchObject({
      index: 2,
      result: { latency_reduction_percentage: 10 },
    })
    expect(chooseCandidate([much, slower], wanting)).toMatchObject({ index: 1, result: { latency_reduction_percentage: -2 } })
    // A target is worth slowness only to what meets it.
    expect(chooseCandidate([slower, faster], { ...asked, target_size_bytes: 50 })).toMatchObject({ index: 1 })
    expect(chooseCandidate([slower, faster], { ...asked, target_size_bytes: 150 })).toMatchObject({ index: 0 })
    expect(chooseCandidate([slower, faster], asked)).toMatchObject({ index: 1 })
  })

  it('comes after all that is not, of what meets the targets', () => {
    const attempt = (seen: typeof slow) => ({ name: 'x', settings: {}, verdict: 'accepted' as const, reason: '', ...seen })
    const small = { ...slow, candidate: { ...slow.candidate, size_bytes: 100 } }
    expect(chooseCandidate([attempt(small), attempt(even)], wanting)).toMatchObject({ outcome: 'completed', index: 1 })
    expect(chooseCandidate([attempt(small), attempt(even)], { ...wanting, metadata: { allow_slower: true } })).toMatchObject({
      index: 0,
    })
    const confirmed = { ...attempt(even), confirmed: true as const }
    const better = { ...attempt(even), candidate: { ...even.candidate, p50_ms: 9.9 } }
    expect(chooseCandidate([better, confirmed], wanting)).toMatchObject({ index: 1 })
  })
})
