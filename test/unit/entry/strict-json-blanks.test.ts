import { describe, expect, it } from 'vitest'
import { parseJson } from '../../../functions/entry/strict-json.ts'

describe('a repeated key', () => {
  it.each([0, 1, 62, 63, 64, 65, 5000])('is found with %i blanks before its colon', (count) => {
    const blanks = ' \t\r\n'.repeat(Math.ceil(count / 4)).slice(0, count)
    expect(() => parseJson(`{"role"${blanks}:"viewer","role"${blanks}:"admin"}`)).toThrow('stands twice')
  })
  it('is no repetition in two objects, or as a value', () => {
    expect(parseJson(`[{"a"${' '.repeat(99)}:"a"},{"a":"a"}]`)).toEqual([{ a: 'a' }, { a: 'a' }])
  })
})
