import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bytesOfPart, partCount, partSize } from '../../../layers/artifacts/keys.ts'
import { mebibyte } from '../../support/artifacts.ts'

const largest_bytes = 5 * 1024 ** 4

it('cuts any size into parts that S3 takes and that add up', () => {
  const size = fc.oneof(
    fc.integer({ min: 0, max: 100 * mebibyte }),
    fc.maxSafeInteger().map((n) => Math.abs(n) % (largest_bytes + 1)),
  )
  fc.assert(
    fc.property(size, (size_bytes) => {
      const [count, part] = [partCount(size_bytes), partSize(size_bytes)]
      expect(count).toBeGreaterThanOrEqual(1)
      expect(count).toBeLessThanOrEqual(10_000)
      expect(part % mebibyte).toBe(0)
      expect(part).toBeGreaterThanOrEqual(8 * mebibyte)
      expect((count - 1) * part + bytesOfPart(size_bytes, count)).toBe(size_bytes)
      if (count > 1) expect(bytesOfPart(size_bytes, 1)).toBe(part)
    }),
  )
  expect(partSize(100_000 * mebibyte)).toBe(10 * mebibyte)
  expect(partCount(largest_bytes)).toBeLessThanOrEqual(10_000)
})
