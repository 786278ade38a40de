import { describe, expect, it } from 'vitest'
import { filesOf, optimizeOptions, readArguments } from '../../../bin/aideploy/options.ts'
import { usage } from '../../../bin/aideploy/usage.ts'
import { choiceFlag, durationFlag, numberFlag, shapeFlag, sizeFlag } from '../../../bin/aideploy/values.ts'
import { nearest } from '../../../layers/core/domain/spelling.ts'

describe('values of flags', () => {
  it('are read with their units', () => {
    expect(sizeFlag('target-size', '10MB')).toBe(10_000_000)
    expect(sizeFlag('target-size', '1.5 KiB')).toBe(1536)
    expect(durationFlag('budget', '60s')).toBe(60)
    expect(durationFlag('target-latency', '250µs')).toBeCloseTo(0.00025, 10)
    expect(durationFlag('budget', '2min')).toBe(120)
    expect(numberFlag('gate', '0.99', 0, 1)).toBe(0.99)
    expect(shapeFlag('shape', 'a=b=1x3x48x320')).toEqual(['a=b', [1, 3, 48, 320]])
  })

  it.each([
    [() => sizeFlag('target-size', '10'), '--target-size "10" is not usable; wanted a size such as 10MB, 800kB or 1.5GiB'],
    [() => sizeFlag('target-size', '0B'), 'wanted a size'],
    [() => durationFlag('budget', '60'), '--budget "60" is not usable; wanted a time above 0 with its unit, such as 5ms'],
    [() => durationFlag('budget', '0s'), 'wanted a time above 0'],
    [() => numberFlag('gate', '1.1', 0, 1), '--gate "1.1" is not usable; wanted a number from 0 to 1'],
    [() => numberFlag('sparsity', '1', 0, 1, true), 'wanted a number between 0 and 1'],
    [() => numberFlag('gate', 'NaN', 0, 1), 'wanted a number'],
    [() => numberFlag('gate-loss', '-1', 0, Number.POSITIVE_INFINITY), 'wanted a number of at least 0'],
    [() => choiceFlag('method', 'prunning', ['pruning', 'quantization']), '(did you mean pruning?)'],
    [() => shapeFlag('shape', '1x3'), 'wanted an input and the sizes of one row'],
    [() => shapeFlag('shape', 'x=1x0'), 'wanted an input and the sizes of one row'],
  ])('%# that are of no use say what was got and what is wanted', (read, sentence) => {
    expect(read).toThrow(sentence)
  })
})

describe('options', () => {
  it.each([
    ['--traget-size', '--target-size'],
    ['--evla', '--eval'],
    ['--bugdet', '--budget'],
    ['--quite', '--quiet'],
  ])('%s is answered with %s', (typed, meant) => {
    expect(() => readArguments([typed, 'x'], optimizeOptions)).toThrow(`There is no option ${typed}; did you mean ${meant}?`)
  })

  it('like none that is known are answered without a guess', () => {
    expect(() => readArguments(['--zzzzzzzz'], optimizeOptions)).toThrow(/^There is no option --zzzzzzzz$/)
  })

  it('that want a value say so', () => {
    expect(() => readArguments(['--out'], optimizeOptions)).toThrow(/--out.*argument missing/)
  })

  it('stand in the usage, every one of them', () => {
    for (const name of Object.keys(optimizeOptions).filter((option) => option !== 'help'))
      expect(usage.optimize).toContain(`--${name}`)
    for (const text of Object.values(usage))
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('leave the files, of which there must be as many as wanted', () => {
    expect(filesOf(['a.onnx'], 1, 'one model')).toEqual(['a.onnx'])
    expect(() => filesOf([], 1, 'one model')).toThrow('Wanted one model, got none')
    expect(() => filesOf(['a', 'b c'], 1, 'one model')).toThrow('got "a" "b c"')
  })
})

it('takes the nearest word only where it is near', () => {
  expect(nearest('inpsect', ['optimize', 'inspect', 'compare'])).toBe('inspect')
  expect(nearest('banana', ['optimize', 'inspect', 'compare'])).toBeUndefined()
})
