import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forecastSeries } from '../../../layers/core/domain/forecast.ts'
import { seededRandom } from '../../support/usage.ts'

const days = (count: number, value: (day: number) => number) => Array.from({ length: count }, (_, day) => value(day))
const meanError = (forecast: number[], truth: number[]) =>
  truth.reduce((sum, value, day) => sum + Math.abs(value - (forecast[day] ?? 0)), 0) / truth.length

describe('forecast of a series', () => {
  it('repeats the week of weekly traffic', () => {
    const weekly = (day: number) => (day % 7 < 5 ? 1000 + 10 * (day % 7) : 200)
    const forecast = forecastSeries(days(28, weekly), 14)
    expect(
      meanError(
        forecast.values,
        days(14, (day) => weekly(28 + day)),
      ),
    ).toBeLessThan(20)
    expect(forecast.method).not.toBe('mean')
  })

  it('follows growth better than the mean does, without running away', () => {
    const growth = (day: number) => 100 + 10 * day
    const forecast = forecastSeries(days(30, growth), 30)
    expect(
      meanError(
        forecast.values.slice(0, 7),
        days(7, (day) => growth(30 + day)),
      ),
    ).toBeLessThan(60)
    expect(Math.max(...forecast.values)).toBeLessThan(growth(75))
  })

  it('says the mean of noise', () => {
    const random = seededRandom(11)
    const forecast = forecastSeries(
      days(30, () => 500 + 100 * (random() - 0.5)),
      10,
    )
    expect(forecast.values.every((value) => value > 430 && value < 570)).toBe(true)
  })

  it('follows weekly traffic that grows', () => {
    const value = (day: number) => 500 + 8 * day + (day % 7 < 5 ? 200 : -200)
    const forecast = forecastSeries(days(42, value), 7)
    expect(
      meanError(
        forecast.values,
        days(7, (day) => value(42 + day)),
      ),
    ).toBeLessThan(90)
  })

  it('chooses the method with the least error on the days held out, and reports that error', () => {
    const series = [...days(20, () => 10), ...days(10, () => 40)]
    const forecast = forecastSeries(series, 5)
    const held = series.slice(-10)
    expect(forecast.backtest_error).toBeLessThanOrEqual(
      meanError(
        days(10, () => 10),
        held,
      ),
    )
    expect(forecast.basis).toMatch(/over 30 days, best of 5 methods on the last 10 days: mean error [\d.]+ a day/)
  })

  it('is honest about short histories', () => {
    expect(forecastSeries([], 3)).toMatchObject({
      values: [0, 0, 0],
      method: 'none',
      basis: expect.stringContaining('no whole day'),
    })
    expect(forecastSeries([6], 2)).toMatchObject({
      values: [6, 6],
      basis: 'mean of 1 day of history: too short to choose or test a method',
    })
    expect(forecastSeries([2, 4, 6], 2)).toMatchObject({ values: [4, 4], method: 'mean', backtest_error: undefined })
  })

  it('always gives one finite value a day, never negative, and the same for the same history', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { maxLength: 90 }),
        fc.integer({ min: 1, max: 365 }),
        (history, count) => {
          const forecast = forecastSeries(history, count)
          expect(forecast.values).toHaveLength(count)
          expect(forecast.values.every((value) => Number.isFinite(value) && value >= 0)).toBe(true)
          expect(forecastSeries([...history], count)).toEqual(forecast)
        },
      ),
    )
  })

  it('does not go below 0 when traffic dies', () => {
    const forecast = forecastSeries(
      days(30, (day) => Math.max(0, 300 - 10 * day)),
      60,
    )
    expect(Math.min(...forecast.values)).toBeGreaterThanOrEqual(0)
  })
})
