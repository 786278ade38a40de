import { describe, expect, it } from 'vitest'
import { defaultBudget_s } from '../../../layers/core/domain/next-attempt.ts'
import { sameAttempt, settingsText } from '../../../layers/core/domain/search-state.ts'
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

describe('its time', () => {
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
