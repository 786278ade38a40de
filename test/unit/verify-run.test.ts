import { describe, expect, it } from 'vitest'
import { type Check, line, type Outcome, runChecks, Skipped } from '../../bin/verify/run.ts'

const check = (id: string, run: () => string, after: string[] = []): Check<object> => ({
  id,
  title: `does ${id}`,
  after,
  run: async () => run(),
})
const fails = (): string => {
  throw new Error('answered 500, wanted 200')
}

describe('the checklist', () => {
  it('goes on after a failure, and leaves out only what depends on it', async () => {
    const reported: string[] = []
    const outcomes = await runChecks(
      [
        check('a', () => 'seen'),
        check('b', fails),
        check('c', () => 'never', ['b']),
        check('d', () => 'never', ['c']),
        check('e', () => 'seen', ['a']),
      ],
      {},
      ({ id }) => reported.push(id),
    )
    expect(outcomes.map(({ id, result }) => `${id} ${result}`)).toEqual([
      'a holds',
      'b fails',
      'c left out',
      'd left out',
      'e holds',
    ])
    expect(outcomes[2]?.seen).toBe('needs b')
    expect(reported).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('counts what a platform cannot be asked as left out, not as failed', async () => {
    const skipped = (): string => {
      throw new Skipped('this type has no canaries')
    }
    const [outcome] = await runChecks([check('canary', skipped)], {}, () => {})
    expect(outcome).toMatchObject({ result: 'left out', seen: 'this type has no canaries' })
  })

  it.each<[Outcome['result'], string]>([
    ['holds', '[x]   12.3 s  signs in: admin'],
    ['fails', '[ ]   12.3 s  signs in: FAILED, admin'],
    ['left out', '[-]   12.3 s  signs in: admin'],
  ])('shows what %s', (result, shown) => {
    expect(line({ id: 'sign-in', title: 'signs in', result, seconds: 12.34, seen: 'admin' })).toBe(shown)
  })
})
