import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Secrets } from '../../layers/core/ports/secrets.ts'
import { failure } from '../support/records.ts'

export interface SecretsUnderTest {
  secrets: Secrets
  /** The same store, opened again. */
  again(): Secrets
  close(): Promise<void>
}

const canary = 'canary-2b61f0'

/** The contract of the secrets port. */
export const secretsContract = (name: string, open: () => Promise<SecretsUnderTest>): void => {
  describe(`secrets ${name}`, () => {
    let under: SecretsUnderTest
    beforeAll(async () => {
      under = await open()
    })
    afterAll(() => under?.close())

    it('are absent, put, replaced, read by another process and removed', async () => {
      const { secrets, again } = under
      const id = `providers/org_1/${randomUUID()}`
      expect(await secrets.get(id)).toBeUndefined()
      await secrets.put(id, 'first')
      await secrets.put(id, 'zweitens: ünïcode 😀\n"{}"')
      expect(await secrets.get(id)).toBe('zweitens: ünïcode 😀\n"{}"')
      expect(await again().get(id)).toBe('zweitens: ünïcode 😀\n"{}"')
      await again().remove(id)
      expect(await again().get(id)).toBeUndefined()
      await secrets.remove(id)
      await secrets.remove('never/there')
    })

    it('can be removed and put again at once, many times', async () => {
      const { secrets } = under
      for (let round = 0; round < 5; round += 1) {
        await secrets.put('again', `round ${round}`)
        expect(await secrets.get('again')).toBe(`round ${round}`)
        await secrets.remove('again')
        expect(await secrets.get('again')).toBeUndefined()
      }
    })

    it('keep names apart that begin alike, and take every character a name may have', async () => {
      const { secrets } = under
      const names = ['a', 'a/b', 'a/b/c', 'A', 'a.b', 'a-b', 'a_b', 'key-AbCdEf', '0', 'x'.repeat(200)]
      for (const id of names) await secrets.put(id, `value of ${id}`)
      const values = []
      for (const id of names) values.push(await secrets.get(id))
      expect(values).toEqual(names.map((id) => `value of ${id}`))
    })

    it('hold 64 kB and refuse more or nothing without repeating it', async () => {
      const { secrets } = under
      const largest = 'x'.repeat(65_536)
      await secrets.put('large', largest)
      expect(await secrets.get('large')).toBe(largest)
      for (const value of [`${canary}${'ü'.repeat(40_000)}`, '']) {
        const error = await failure('invalid_request', secrets.put('large', value))
        expect(error.message).toMatch(/wants 1 to 65536 bytes/)
        expect(everything(error)).not.toContain(canary)
      }
      expect(await secrets.get('large')).toBe(largest)
    })

    it('refuse odd names without repeating name or value', async () => {
      const { secrets } = under
      for (const odd of ['', '/a', 'a/', 'a//b', 'a b', `../../${canary} y`, 'a\n', 'a\0b', 'x'.repeat(300), 'ä'])
        for (const call of [() => secrets.put(odd, canary), () => secrets.get(odd), () => secrets.remove(odd)])
          expect(everything(await failure('invalid_request', call()))).not.toContain(canary)
    })
  })
}

/** All that a log or a careless caller could print of an error. */
export const everything = (error: Error): string =>
  `${error.stack} ${JSON.stringify(error)} ${error.cause instanceof Error ? `${error.cause.stack} ${JSON.stringify(error.cause)}` : ''}`
