import { describe, expect, it } from 'vitest'
import { confirmationReserve } from '../../../layers/core/domain/confirmation.ts'
import { defaultBudget_s, nextAttempt } from '../../../layers/core/domain/next-attempt.ts'
import type { Attempt } from '../../../layers/core/domain/optimization.ts'
import { asDuplicate, sameAttempt, sameFile, settingsText } from '../../../layers/core/domain/search-state.ts'
import { searched, type World } from '../../support/search-world.ts'

const quantizers: World = {
  half: { size: 0.5, p50: 1, sqnr: 60 },
  int8: { size: 0.25, p50: 0.6, sqnr: 35, family: 'int8' },
  'int8-all': { size: 0.24, p50: 0.5, sqnr: 25, family: 'int8' },
  int4: { size: 0.15, p50: 0.9, sqnr: 22, family: 'int4' },
}
const pruned: World = {
  'pruned-25': { method: 'pruning', size: 0.7, sqnr: 30, family: 'pruning' },
  'pruned-50': { method: 'pruning', size: 0.4, sqnr: 24, family: 'pruning' },
  'pruned-75': { method: 'pruning', size: 0.2, sqnr: 12, family: 'pruning' },
  'pruned-90': { method: 'pruning', size: 0.05, sqnr: 2, family: 'pruning' },
}
const MB = 1_000_000

describe('a search', () => {
  it('tries everything mild in order where nothing is wanted but better', () => {
    const { tried, end } = searched(quantizers)
    expect(tried).toEqual(['half', 'int8', 'int8-all', 'int4'])
    expect(end.reason).toBe('Every candidate that could help was tried')
  })

  it('stops at the first that meets every target', () => {
    const { tried, end } = searched(quantizers, { target_size_bytes: 2.6 * MB })
    expect(tried).toEqual(['int8'])
    expect(end.reason).toBe('int8 meets every target')
  })

  it('builds only what can reach a size, with two per cent of slack and the unknown given the benefit of the doubt', () => {
    const world = { ...quantizers, riddle: { size: 0.9, sqnr: 28, expected: { size: null } } }
    expect(searched(world, { target_size_bytes: 2.36 * MB }).tried).toEqual(['riddle', 'int8-all', 'int4'])
  })

  it('goes on for something faster where the first of the wanted size is slower', () => {
    const slow = { ...quantizers, int8: { size: 0.25, p50: 1.4, sqnr: 35 } }
    expect(searched(slow, { target_size_bytes: 2.6 * MB }).tried).toEqual(['int8', 'int8-all'])
    expect(searched(slow, { target_size_bytes: 2.6 * MB, metadata: { allow_slower: true } }).tried).toEqual(['int8'])
  })

  it('goes on past one that is slower by little, and takes it only where nothing else has the size', () => {
    const stored: World = { ...quantizers, int8: { size: 0.25, p50: 1.02, sqnr: 35 } }
    const { tried, confirmed } = searched(stored, { target_size_bytes: 2.6 * MB })
    expect([tried, confirmed]).toEqual([['int8', 'int8-all'], ['int8-all']])
    const alone = searched({ int8: { size: 0.25, p50: 1.4, sqnr: 35 }, half: quantizers.half! }, { target_size_bytes: 2.6 * MB })
    expect(alone.confirmed).toEqual(['int8'])
    expect(alone.attempts.find(({ name }) => name === 'int8')?.reason).toMatch(
      /^Accepted although slower, as target_size permits where/,
    )
    // Nor does a latency that both have make the slower one good enough.
    expect(searched(stored, { target_size_bytes: 2.6 * MB, target_latency_ms: 12 }).tried).toEqual(['int8', 'int8-all'])
  })

  it('ends with the nearest to a size that nothing can reach: largest reduction first until one is acceptable', () => {
    expect(searched(quantizers, { target_size_bytes: 0.5 * MB }).tried).toEqual(['int4'])
    const coarse = { ...quantizers, int4: { size: 0.15, sqnr: 5, family: 'int4' } }
    expect(searched(coarse, { target_size_bytes: 0.5 * MB }).tried).toEqual(['int4', 'int8-all'])
  })

  it('leaves out what is harsher than something far off, and says what that was', () => {
    const { tried, attempts } = searched(pruned)
    expect(tried).toEqual(['pruned-25', 'pruned-50', 'pruned-75'])
    expect(attempts.at(-1)).toMatchObject({
      name: 'pruned-90',
      verdict: 'skipped',
      expected_size_bytes: 0.5 * MB,
      reason: expect.stringMatching(/^Not built: it is harsher than pruned-75 .*SQNR 12 dB.*wanted at least 20 dB/),
    })
    const near = { ...pruned, 'pruned-75': { ...pruned['pruned-75'], method: 'pruning' as const, size: 0.2, sqnr: 14.5 } }
    expect(searched(near).tried).toContain('pruned-90')
  })

  it('applies the best quantizer upon every faithful pruned candidate, where noise leaves room', () => {
    const { tried, attempts } = searched({ ...quantizers, ...pruned })
    expect(tried).toContain('int8@pruned-25')
    expect(tried).toContain('int8-all@pruned-50')
    expect(tried.some((name) => name.endsWith('@pruned-75'))).toBe(false)
    const pair = attempts.find(({ base }) => base !== undefined)
    expect(attempts[pair?.base ?? -1]?.name).toBe('pruned-25')
    expect(searched(pruned).tried).toEqual(['pruned-25', 'pruned-50', 'pruned-75'])
  })

  it('reaches a size in two steps that no single one reaches', () => {
    const { tried, end, attempts } = searched(
      { ...quantizers, ...pruned, 'pruned-90': { ...quantizers.half, size: 0.9, sqnr: 70 } },
      {
        target_size_bytes: 1.1 * MB,
        metadata: { accuracy_gate: { sqnr_db: 18 } },
      },
    )
    expect(end.reason).toMatch(/meets every target/)
    expect(tried.at(-1)).toMatch(/@pruned-50$/)
    expect(attempts.at(-1)).toMatchObject({ verdict: 'accepted' })
  })

  it('goes straight to the pair where no single step reaches a size, and tries no half for itself that none needs', () => {
    const { 'pruned-90': _, ...milder } = pruned
    const world: World = { ...quantizers, ...milder, 'pruned-75': { method: 'pruning', size: 0.2, sqnr: 21, family: 'pruning' } }
    const told = searched(world, { target_size_bytes: 0.45 * MB, metadata: { accuracy_gate: { sqnr_db: 18 } } })
    expect(told.tried).toEqual(['pruned-75', 'int4@pruned-75'])
    expect(told.attempts.at(-1)?.candidate?.size_bytes).toBe(0.3 * MB)
    // What 8 bits reach they reach first, being milder; of what is as mild the smaller.
    const easy = searched(world, { target_size_bytes: 0.52 * MB, metadata: { accuracy_gate: { sqnr_db: 18 } } })
    expect(easy.tried).toEqual(['pruned-75', 'int8-all@pruned-75'])
  })

  it('leaves out what is known not to become fast enough, as long as something else may', () => {
    const world: World = { stored: { size: 0.25, p50: 1, sqnr: 60, expected: { p50: 1 } }, ...quantizers }
    expect(searched(world, { target_latency_ms: 6.2 }).tried).toEqual(['half', 'int8'])
    const students: World = { stored: world.stored ?? { size: 1, sqnr: 0 } }
    expect(searched(students, { target_latency_ms: 6.2 }).tried).toEqual(['stored'])
  })

  it('makes losses good only where there are some', () => {
    const tuned = { method: 'pruning' as const, size: 0.4, sqnr: 23, rescues: 'pruning' }
    const { tried, attempts } = searched({ ...pruned, tuned })
    expect(tried).not.toContain('tuned')
    expect(attempts.find(({ name }) => name === 'tuned')).toMatchObject({
      verdict: 'skipped',
      reason: 'Not built: pruned-50 {"of":"pruned-50"}, whose losses it would make good, was accepted',
    })
    // Where a larger one is far off, effort will not do either.
    const lost: World = {
      'pruned-25': { method: 'pruning', size: 0.7, sqnr: 9, family: 'pruning', expected: { sqnr: 30 } },
      tuned,
    }
    expect(searched(lost).tried).toEqual(['pruned-25'])
    expect(searched({ ...lost, tuned: { ...tuned, size: 0.7 } }).tried).toEqual(['pruned-25', 'tuned'])
    // A milder one that came through is not as small.
    expect(
      searched({ ...pruned, 'pruned-50': { method: 'pruning', size: 0.4, sqnr: 18, family: 'pruning' }, tuned }).tried,
    ).toContain('tuned')
  })

  it('begins no training that the time left does not admit, unless it was asked for', () => {
    const student: World = { student: { method: 'pruning', size: 0.4, sqnr: 30, trains_s: 100 } }
    const { tried, end } = searched({ ...quantizers, ...student })
    expect(tried).not.toContain('student')
    expect(end.reason).toBe(
      'Every candidate that could help was tried, but for 1 that would train for longer than the time budget has left',
    )
    expect(searched(student, { method: 'pruning' }).tried).toEqual(['student'])
  })

  it('distils last, for targets unmet or where it was asked for', () => {
    const world: World = { ...quantizers, student: { method: 'distillation', size: 0.05, sqnr: 90 } }
    expect(searched(world).tried).not.toContain('student')
    expect(searched(world, { target_size_bytes: 0.6 * MB }).tried).toEqual(['int4', 'student'])
    expect(searched(world, { target_latency_ms: 1 }).tried.at(-1)).toBe('student')
    expect(searched({ student: { method: 'distillation', size: 0.5, sqnr: 25 } }, { method: 'distillation' }).tried).toEqual([
      'student',
    ])
  })

  it('goes on after a failure and never tries anything twice', () => {
    const { tried } = searched({ ...quantizers, int8: { size: 0.25, sqnr: 35, fails: true } })
    expect(tried).toEqual(['half', 'int8', 'int8-all', 'int4'])
  })
})

describe('what would be published', () => {
  const fast: World = { int8: { size: 0.25, p50: 0.5, sqnr: 35 }, int4: { size: 0.15, p50: 0.9, sqnr: 25 } }

  it('is measured once more, and nothing else is', () => {
    const { confirmed, attempts, end } = searched(fast)
    expect(confirmed).toEqual(['int8'])
    expect(attempts.filter((attempt) => attempt.confirmed)).toHaveLength(1)
    expect(end.reason).toBe('Every candidate that could help was tried')
    expect(searched({ int8: { size: 0.25, sqnr: 5 } }).confirmed).toEqual([])
  })

  it('gives way to the next best where it does not hold', () => {
    const { confirmed, attempts } = searched({ ...fast, int8: { size: 0.25, p50: 0.5, sqnr: 35, slower_again: 2.2 } })
    expect(confirmed).toEqual(['int8', 'int4'])
    expect(attempts[0]).toMatchObject({ name: 'int8', verdict: 'rejected', reason: expect.stringMatching(/^Slower/) })
    expect(attempts[1]).toMatchObject({ name: 'int4', verdict: 'accepted', confirmed: true })
  })

  it('sends the search on where it met the targets only the first time', () => {
    const lucky = { ...fast, int8: { size: 0.25, p50: 0.5, sqnr: 35, slower_again: 2.2 } }
    const { tried, confirmed, end } = searched(lucky, { target_size_bytes: 2.6 * MB, target_latency_ms: 9.5 })
    expect([tried, confirmed]).toEqual([
      ['int8', 'int4'],
      ['int8', 'int4'],
    ])
    expect(end.reason).toBe('int4 meets every target')
  })

  it('has its share of the time kept, and all that is left for labelled rows that are still to judge it', () => {
    const task = { value: 0, interval: [-0.1, 0.1] as [number, number] }
    const attempt = {
      name: 'int8',
      settings: {},
      verdict: 'accepted' as const,
      reason: '',
      artifact: 'a',
      original: { size_bytes: 10, p50_ms: 30, p95_ms: 40, runs: 30 },
      candidate: { size_bytes: 3, p50_ms: 25, p95_ms: 30, runs: 30 },
      fidelity: { sqnr_db: 30, cosine: 1, max_abs_error: 0, top1_agreement: null, rows: 20, inputs: 'supplied' as const },
    }
    const state = {
      plan: [],
      attempts: [attempt],
      asked: { method: 'auto' as const, metadata: {}, target_size_bytes: null, target_latency_ms: null },
      original_size_bytes: 10,
      spent_ms: 10_000,
      budget_ms: 60_000,
    }
    expect(nextAttempt(state)).toMatchObject({ step: 'confirm', place: 0, measure_ms: 3000 })
    expect(confirmationReserve(state)).toBe(3000)
    const labelled = {
      ...attempt,
      fidelity: { ...attempt.fidelity, rows_available: 1200 },
      task: { metric: 'exact_match' as const, rows: 20, original: task, candidate: task, loss: task },
    }
    expect(nextAttempt({ ...state, attempts: [labelled] })).toMatchObject({ step: 'confirm', measure_ms: 50_000 })
    expect(confirmationReserve({ ...state, attempts: [labelled] })).toBe(18_000)
    expect(nextAttempt({ ...state, attempts: [labelled], spent_ms: 70_000 })).toMatchObject({ measure_ms: 18_000 })
    expect(nextAttempt({ ...state, attempts: [{ ...labelled, confirmed: true as const }] }).step).toBe('done')
  })
})

describe('a file that was made before', () => {
  it('is known by its hash, and told as what it is', () => {
    const first = { name: 'prune', settings: { s: 1 }, verdict: 'accepted' as const, reason: '', sha256: 'aa' }
    const again = { ...first, name: 'tuned', verdict: 'skipped' as const }
    expect(sameFile([again, first], 'aa')).toBe(first)
    expect(sameFile([first], 'bb')).toBeUndefined()
    expect(asDuplicate(first)).toEqual({ verdict: 'skipped', reason: 'Not measured: it is the same file as prune {"s":1}' })
  })
})

describe('its time', () => {
  it('bounds every build by what is left, but one that trains by more than its training', () => {
    const limit = (settings: Record<string, number>, spent_ms: number, attempts: Attempt[] = []) => {
      const planned = { optimizer: 'a', method: 'pruning' as const, settings, expected_sqnr_db: 30, expected_size_bytes: 5 }
      const asked = { method: 'pruning' as const, metadata: {}, target_size_bytes: null, target_latency_ms: null }
      return nextAttempt({ plan: [planned], attempts, asked, original_size_bytes: 10, spent_ms, budget_ms: 60_000 })
    }
    expect(limit({}, 10_000)).toMatchObject({ build_ms: 30_000 })
    expect(limit({}, 59_000)).toMatchObject({ build_ms: 5000 })
    const accepted = { name: 'b', settings: {}, verdict: 'accepted' as const, reason: '' }
    expect(limit({}, 10_000, [accepted])).toMatchObject({ build_ms: 12_500 })
    expect(limit({ fine_tune_s: 100 }, 10_000)).toMatchObject({ build_ms: 205_000 })
  })

  it('is a minute up to 20 MB, two seconds for every further one, a quarter of an hour at most', () => {
    expect([0, 20 * MB, 21 * MB, 100 * MB, 4000 * MB].map(defaultBudget_s)).toEqual([60, 60, 62, 220, 900])
  })

  it('is shared by what may still be tried, and nothing begins once it is used', () => {
    const many = Object.fromEntries(
      Array.from({ length: 30 }, (_, at) => [`q${at}`, { size: 0.5, sqnr: 60 - at, takes_ms: 1000 }]),
    )
    const { measure_ms, spent_ms, end, tried } = searched(many, {}, 30)
    expect(Math.min(...measure_ms)).toBeGreaterThanOrEqual(600)
    expect(Math.max(...measure_ms)).toBeLessThanOrEqual(8000)
    expect(spent_ms).toBeLessThan(33_000)
    expect(end.reason).toBe(
      `The time budget of 30 s is used: ${tried.length} candidates were tried, ${30 - tried.length} were not`,
    )
    expect(searched({ one: { size: 0.5, sqnr: 60 } }).measure_ms).toEqual([8000])
  })
})

describe('attempts are the same', () => {
  it('whatever the order of their settings, but not upon another file', () => {
    expect(settingsText({ b: [1, { d: null, c: 'x' }], a: 2 })).toBe('{"a":2,"b":[1,{"c":"x","d":null}]}')
    const made = { name: 'int8', settings: { a: 1, b: 2 } }
    expect(sameAttempt(made, { name: 'int8', settings: { b: 2, a: 1 } })).toBe(true)
    expect(sameAttempt(made, { ...made, base: 0 })).toBe(false)
    expect(sameAttempt(made, { name: 'int8', settings: { a: 1 } })).toBe(false)
  })
})
