import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allFinite, quantizeColumns, quantizeRows, type WeightType, zeroPoint } from '../../../layers/onnx/quantize/weights.ts'

const types = fc.constantFrom<WeightType>('s8', 'u8', 's7')
const matrices = fc
  .record({ rows: fc.integer({ min: 1, max: 9 }), columns: fc.integer({ min: 1, max: 9 }) })
  .chain(({ rows, columns }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      values: fc
        .array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: rows * columns, maxLength: rows * columns })
        .map((values) => Float32Array.from(values)),
    }),
  )

describe('int8 weights', () => {
  it('stay within half a step of the floats, per column', () => {
    fc.assert(
      fc.property(matrices, types, ({ rows, columns, values }, type) => {
        const made = quantizeColumns(values, { rows, columns, transposed: false }, type)
        for (let row = 0; row < rows; row += 1)
          for (let column = 0; column < columns; column += 1) {
            const at = row * columns + column
            const scale = made.scales[column] ?? 0
            const back = scale * ((made.values[at] ?? 0) - zeroPoint(type))
            expect(Math.abs(back - (values[at] ?? 0))).toBeLessThanOrEqual(scale * 0.5001 + 1e-30)
          }
      }),
    )
  })

  it('stay within half a step of the floats, per row', () => {
    fc.assert(
      fc.property(matrices, types, ({ rows, columns, values }, type) => {
        const made = quantizeRows(values, rows, type)
        values.forEach((value, at) => {
          const scale = made.scales[Math.floor(at / columns)] ?? 0
          expect(Math.abs(scale * ((made.values[at] ?? 0) - zeroPoint(type)) - value)).toBeLessThanOrEqual(scale * 0.5001 + 1e-30)
        })
      }),
    )
  })

  it('come out the same from a transposed matrix', () => {
    const values = Float32Array.of(1, -2, 3, 4, 5, -6)
    const turned = Float32Array.of(1, 4, -2, 5, 3, -6)
    const shape = { rows: 2, columns: 3 }
    expect(quantizeColumns(turned, { ...shape, transposed: true }, 's8')).toEqual(
      quantizeColumns(values, { ...shape, transposed: false }, 's8'),
    )
  })

  it('keep 7-bit weights where two products of 255 cannot saturate int16', () => {
    const values = Float32Array.from({ length: 256 }, (_, at) => Math.sin(at) * (at % 7))
    const { values: made } = quantizeRows(values, 4, 's7')
    expect(Math.max(...made.map(Math.abs))).toBe(64)
    expect(255 * 64 * 2).toBeLessThan(2 ** 15)
  })

  it('give groups of zeros a scale that divides', () => {
    const { scales, values } = quantizeColumns(new Float32Array(6), { rows: 3, columns: 2, transposed: false }, 'u8')
    expect([...scales]).toEqual([1, 1])
    expect([...values]).toEqual([128, 128, 128, 128, 128, 128])
    const tiny = quantizeRows(Float32Array.of(1e-44, -1e-44), 1, 's8')
    expect([...tiny.scales]).toEqual([1])
  })

  it('are refused when a float is no number', () => {
    expect(allFinite(Float32Array.of(1, 2, 3))).toBe(true)
    expect(allFinite(Float32Array.of(1, Number.NaN))).toBe(false)
    expect(allFinite(Float32Array.of(1, Number.NEGATIVE_INFINITY))).toBe(false)
  })
})
