import { describe, expect, it } from 'vitest'
import { OptimizationWishes } from '../../../layers/core/domain/accuracy-gate.ts'
import { chooseCandidate, targetsMet } from '../../../layers/core/domain/choose-candidate.ts'
import type { Asked, Evidence } from '../../../layers/core/domain/evidence.ts'
import { accuracyChange } from '../../../layers/core/domain/faithfulness.ts'
import { judgeCandidate } from '../../../layers/core/domain/judge-candidate.ts'
import type { Attempt } from '../../../layers/core/domain/optimization.ts'

const nothing_asked: Asked = { metadata: {}, target_size_bytes: null, target_latency_ms: null }
const evidence = (
  changes: {
    size?: number
    p50?: number
    sqnr?: number | null
    top1?: number | null
    seen?: number
    interval?: [number, number]
  } = {},
): Evidence => ({
  original: { size_bytes: 1000, p50_ms: 10, p95_ms: 12, runs: 30 },
  candidate: { size_bytes: changes.size ?? 300, p50_ms: changes.p50 ?? 8, p95_ms: 9, runs: 30 },
  fidelity: {
    sqnr_db: changes.sqnr === undefined ? 40 : changes.sqnr,
    cosine: 1,
    max_abs_error: 0.1,
    top1_agreement: changes.top1 ?? null,
    ...(changes.seen === undefined ? {} : { classes_seen: changes.seen }),
    rows: 128,
    inputs: 'generated',
  },
  latency_interval: changes.interval && { low_percent: changes.interval[0], high_percent: changes.interval[1], rounds: 80 },
})
const judged = (changes: Parameters<typeof evidence>[0], asked: Partial<Asked> = {}) =>
  judgeCandidate(evidence(changes), { ...nothing_asked, ...asked })

describe('a candidate is judged', () => {
  it('accepted when faithful, smaller and faster, with the figures', () => {
    expect(judged({})).toEqual({
      verdict: 'accepted',
      reason: 'Accepted: size −70 %, p50 latency −20 %, SQNR 40 dB over 128 generated rows',
    })
  })

  it.each([
    [{ sqnr: 19.99 }, {}, 'rejected'],
    [{ sqnr: 20 }, {}, 'accepted'],
    [{ sqnr: 19.99 }, { accuracy_gate: { sqnr_db: 15 } }, 'accepted'],
    [{ sqnr: 30 }, { accuracy_gate: { sqnr_db: 35 } }, 'rejected'],
    // With classes the decisions count, not the noise.
    [{ sqnr: 5, top1: 0.99 }, {}, 'accepted'],
    [{ sqnr: 60, top1: 0.9899 }, {}, 'rejected'],
    [{ sqnr: 60, top1: 0.95 }, { accuracy_gate: 0.95 }, 'accepted'],
    [{ sqnr: 60, top1: 0.95 }, { accuracy_gate: { top1_agreement: 0.9 } }, 'accepted'],
    [{ sqnr: null }, {}, 'rejected'],
    // Agreement on one class for every row proves little.
    [{ sqnr: 5, top1: 1, seen: 2 }, {}, 'accepted'],
    [{ sqnr: 5, top1: 1, seen: 1 }, {}, 'rejected'],
    [{ sqnr: 30, top1: 1, seen: 1 }, {}, 'accepted'],
    [{ sqnr: null, top1: 1, seen: 1 }, {}, 'rejected'],
  ])('by fidelity %o under %o: %s', (changes, metadata, verdict) => {
    expect(judged(changes, { metadata }).verdict).toBe(verdict)
  })

  it('says what was got and wanted when unfaithful', () => {
    expect(judged({ top1: 0.9 }).reason).toBe('Unfaithful: top-1 agreement 0.9 over 128 generated rows; wanted at least 0.99')
    expect(judged({ sqnr: null }).reason).toContain('supply calibration data')
    expect(judged({ sqnr: -9.93 }).reason).toBe('Unfaithful: SQNR -9.93 dB over 128 generated rows; wanted at least 20 dB')
  })

  it.each([
    [{ size: 1000, p50: 9.8 }, 'rejected', 'Neither smaller nor faster'],
    [{ size: 1100, p50: 10 }, 'rejected', 'size +10 %'],
    [{ size: 1100, p50: 5 }, 'accepted', 'size +10 %, p50 latency −50 %'],
    [{ size: 500, p50: 10.3 }, 'accepted', 'p50 latency +3 %'],
    [{ size: 500, p50: 10.31 }, 'rejected', 'Slower: size −50 %, p50 latency +3.1 %'],
  ])('by what it gains %o: %s', (changes, verdict, reason) => {
    expect(judged(changes)).toEqual({ verdict, reason: expect.stringContaining(reason) })
  })

  it.each([
    [{ size: 500, p50: 10, interval: [-2.9, 2] }, 'accepted', 'p50 latency ±0 % (95 %: −2 % to +2.9 %)'],
    [{ size: 500, p50: 10, interval: [-3.1, 2] }, 'rejected', 'Inconclusive, timed again and still maybe slower'],
    [{ size: 500, p50: 10.5, interval: [-6, -2] }, 'rejected', 'Inconclusive'],
    [{ size: 500, p50: 10.5, interval: [-6, -4] }, 'rejected', 'Slower: size −50 %'],
    // The figure that is told must hold the line too.
    [{ size: 500, p50: 10.5, interval: [-2, 1] }, 'rejected', 'Inconclusive'],
    [{ size: 1000, p50: 9, interval: [-1, 15] }, 'rejected', 'Inconclusive: not smaller and maybe not faster'],
    [{ size: 1000, p50: 9, interval: [2, 15] }, 'accepted', 'p50 latency −10 %'],
  ] as const)('by the interval of its latency %o: %s', (changes, verdict, reason) => {
    const { interval, ...rest } = changes
    expect(judged({ ...rest, interval: [...interval] })).toEqual({ verdict, reason: expect.stringContaining(reason) })
  })

  it('and publishes the very figure that its interval holds', () => {
    const seen: Evidence = {
      ...evidence({ size: 500, p50: 13.8 }),
      latency_interval: { estimate_percent: -33.7, low_percent: -34.61, high_percent: -32.63, rounds: 80 },
    }
    expect(judgeCandidate(seen, nothing_asked).reason).toContain('p50 latency +33.7 % (95 %: +32.63 % to +34.61 %)')
    const choice = chooseCandidate([{ name: 'a', settings: {}, verdict: 'accepted', reason: '', ...seen }], nothing_asked)
    expect(choice.result.latency_reduction_percentage).toBe(-33.7)
    // Kept before estimates were: the interval is widened to what is told.
    expect(judged({ size: 500, p50: 13.8, interval: [-34.61, -32.63] }).reason).toContain('+38 % (95 %: +32.63 % to +38 %)')
  })

  it('named as slower where it surely is, by less than measurements differ', () => {
    expect(judged({ size: 500, p50: 10.2, interval: [-2.5, -1.5] })).toEqual({
      verdict: 'accepted',
      reason: expect.stringMatching(
        /^Accepted as smaller, though slower by less than two measurements of one file differ: .*\+2 %/,
      ),
    })
    expect(judged({ size: 500, p50: 10.1, interval: [-2.5, 0.1] }).reason).toMatch(/^Accepted: /)
  })

  it('may be slower for all that can be told where slowness is permitted', () => {
    expect(judged({ p50: 10, interval: [-8, 5] }, { metadata: { allow_slower: true } })).toMatchObject({
      verdict: 'accepted',
      reason: expect.stringContaining('although maybe slower, as metadata.allow_slower permits'),
    })
  })

  it('may be slower where size was asked for or slowness permitted, and says so', () => {
    const slow = { size: 300, p50: 20 }
    expect(judged(slow, { target_size_bytes: 500 })).toMatchObject({
      verdict: 'accepted',
      reason: expect.stringContaining('as target_size permits'),
    })
    expect(judged(slow, { metadata: { allow_slower: true } })).toMatchObject({
      verdict: 'accepted',
      reason: expect.stringContaining('metadata.allow_slower permits'),
    })
    expect(judged(slow, { target_size_bytes: 200 })).toMatchObject({ verdict: 'rejected' })
    expect(judged(slow, { metadata: { allow_slower: false } }).verdict).toBe('rejected')
  })

  it('with an accuracy change that is never positive and null without classes', () => {
    expect(accuracyChange(evidence({ top1: 0.9921875 }))).toBe(-0.78)
    expect(accuracyChange(evidence({ top1: 1 }))).toBe(0)
    expect(accuracyChange(evidence())).toBeNull()
  })
})

const attempt = (name: string, changes: Parameters<typeof evidence>[0], verdict: Attempt['verdict'] = 'accepted'): Attempt => ({
  name,
  settings: {},
  verdict,
  reason: `${verdict}.`,
  ...evidence(changes),
})

describe('of the candidates', () => {
  it('the one is chosen that leaves least of size and latency', () => {
    const choice = chooseCandidate(
      [attempt('a', { size: 500, p50: 8 }), attempt('b', { size: 300, p50: 9 }), attempt('c', { size: 900, p50: 5 })],
      nothing_asked,
    )
    expect(choice).toEqual({
      outcome: 'completed',
      index: 1,
      result: {
        size_reduction_percentage: 70,
        latency_reduction_percentage: 10,
        accuracy_change_percentage: null,
        accuracy_source: 'none',
        target_met: null,
      },
    })
  })

  it('one that meets the targets comes before a better one that does not', () => {
    const attempts = [attempt('small', { size: 100, p50: 9 }), attempt('fast', { size: 700, p50: 4 })]
    expect(chooseCandidate(attempts, { ...nothing_asked, target_latency_ms: 5 })).toMatchObject({
      index: 1,
      result: { target_met: true },
    })
    expect(chooseCandidate(attempts, { ...nothing_asked, target_size_bytes: 100 })).toMatchObject({
      index: 0,
      result: { target_met: true },
    })
  })

  it('the nearest to the targets completes when none meets them, and says so', () => {
    const choice = chooseCandidate([attempt('a', { size: 300 }), attempt('b', { size: 250 })], {
      ...nothing_asked,
      target_size_bytes: 10,
    })
    expect(choice).toMatchObject({ outcome: 'completed', index: 1, result: { target_met: false } })
  })

  it('a rejected one is never chosen, but its figures are told when nothing else is there', () => {
    const attempts = [attempt('a', { p50: 25 }, 'rejected'), { ...attempt('b', {}, 'failed'), candidate: undefined }]
    expect(chooseCandidate(attempts, nothing_asked)).toEqual({
      outcome: 'failed',
      error: 'No candidate was acceptable. a: rejected.; b: failed.',
      result: expect.objectContaining({ size_reduction_percentage: 70, latency_reduction_percentage: -150 }),
    })
  })

  it('an unfaithful one is the nearest only where no faithful one was measured', () => {
    const attempts = [
      attempt('wrong', { size: 100, p50: 5, sqnr: 3 }, 'rejected'),
      attempt('slow', { size: 300, p50: 11 }, 'rejected'),
    ]
    expect(chooseCandidate(attempts, nothing_asked)).toMatchObject({
      outcome: 'failed',
      result: { size_reduction_percentage: 70 },
    })
    expect(chooseCandidate(attempts.slice(0, 1), nothing_asked)).toMatchObject({ result: { size_reduction_percentage: 90 } })
  })

  it('none planned is a failure that says so', () => {
    expect(chooseCandidate([], nothing_asked)).toMatchObject({
      outcome: 'failed',
      error: 'No candidate could be planned for this model',
      result: { size_reduction_percentage: null, accuracy_source: null },
    })
  })

  it('both targets must be met together', () => {
    const asked = { ...nothing_asked, target_size_bytes: 400, target_latency_ms: 5 }
    expect(targetsMet(evidence({ size: 300, p50: 8 }), asked)).toBe(false)
    expect(targetsMet(evidence({ size: 300, p50: 5 }), asked)).toBe(true)
    expect(targetsMet(evidence(), nothing_asked)).toBeNull()
  })
})

it.each([
  [{ accuracy_gate: 2 }],
  [{ accuracy_gate: { top1: 0.9 } }],
  [{ precision: 8 }],
  [{ allow_slower: 'yes' }],
  [{ input_shapes: { x: [0] } }],
])('wishes that cannot be read are refused: %o', (metadata) => {
  expect(OptimizationWishes.safeParse(metadata).success).toBe(false)
})
