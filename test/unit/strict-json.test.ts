import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJson } from '../../functions/entry/strict-json.ts'

describe('parseJson', () => {
  it('reads everything JSON.parse reads, where keys are unique and nesting is shallow', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const text = JSON.stringify(value)
        if (text.includes('"__proto__"')) return
        expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  it.each([
    ['{"a":1,"a":2}', 'stands twice'],
    ['{"a":1,"\\u0061":2}', 'stands twice'],
    ['{"x":{"b":1, "b" :2}}', 'stands twice'],
    ['{"__proto__":{}}', '__proto__'],
    ['{"a":1e999}', 'out of range'],
    ['{"a":', 'not JSON'],
    ['', 'not JSON'],
    ['['.repeat(100_000) + ']'.repeat(100_000), 'nests deeper'],
  ])('refuses %.40s', (text, why) => {
    expect(() => parseJson(text)).toThrow(why)
  })

  it('does not take text inside strings for structure', () => {
    expect(parseJson('{"a":"\\"a\\":{[","b":["a","a"]}')).toEqual({ a: '"a":{[', b: ['a', 'a'] })
  })
})
