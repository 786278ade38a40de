import { expect, test } from 'vitest'
import { sizeBytesOf } from '../../../layers/core/domain/size.ts'

test.each([
  ['10MB', 10_000_000],
  ['10 mib', 10_485_760],
  ['1.5GB', 1_500_000_000],
  ['0.5 KiB', 512],
  ['2000B', 2000],
  [' 7 TB ', 7e12],
])('%j is %i bytes', (text, bytes) => {
  expect(sizeBytesOf(text)).toBe(bytes)
})

test.each(['', '10', 'MB', '-1MB', '1e3MB', '10 MBs', '1,5GB', '1 iB'])('%j is no size', (text) => {
  expect(sizeBytesOf(text)).toBeUndefined()
})
