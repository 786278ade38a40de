/** Values of consecutive days, oldest first. */
type Series = readonly number[]
type Method = (history: Series, days: number) => number[]

const week = 7
const mean = (values: Series): number => (values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length)
const range = (days: number, value: (day: number) => number): number[] =>
  Array.from({ length: days }, (_, day) => Math.max(0, value(day)))

const averaging: Method = (history, days) => range(days, () => mean(history))

/** The same weekday of the last week. */
const seasonalNaive: Method = (history, days) => range(days, (day) => history[history.length - week + (day % week)] ?? 0)

/** Each weekday's mean over all weeks. */
const weekdayMean: Method = (history, days) =>
  range(days, (day) => mean(history.filter((_, at) => (history.length + day - at) % week === 0)))

/** Exponential smoothing with a damped trend (Gardner and McKenzie, 1985). */
const dampedTrend: Method = (history, days) => {
  const [alpha, beta, phi] = [0.3, 0.1, 0.9]
  let level = history[0] ?? 0
  let trend = (history[1] ?? level) - level
  for (const value of history.slice(1)) {
    const before = level
    level = alpha * value + (1 - alpha) * (level + phi * trend)
    trend = beta * (level - before) + (1 - beta) * phi * trend
  }
  return range(days, (day) => level + (trend * phi * (1 - phi ** (day + 1))) / (1 - phi))
}

/** Additive Holt-Winters with a weekly season and a damped trend. */
const holtWinters: Method = (history, days) => {
  const [alpha, beta, gamma, phi] = [0.2, 0.05, 0.2, 0.95]
  const first = mean(history.slice(0, week))
  let level = first
  let trend = (mean(history.slice(week, 2 * week)) - first) / week
  const season = history.slice(0, week).map((value) => value - first)
  for (const [at, value] of history.entries()) {
    const phase = at % week
    const before = level
    level = alpha * (value - (season[phase] ?? 0)) + (1 - alpha) * (level + phi * trend)
    trend = beta * (level - before) + (1 - beta) * phi * trend
    season[phase] = gamma * (value - level) + (1 - gamma) * (season[phase] ?? 0)
  }
  const damped = (day: number) => (trend * phi * (1 - phi ** (day + 1))) / (1 - phi)
  return range(days, (day) => level + damped(day) + (season[(history.length + day) % week] ?? 0))
}

/** Simplest first: a later one must be better to be chosen. `needs` is the least history in days that it is tried with. */
const methods: readonly { name: string; needs: number; run: Method }[] = [
  { name: 'mean', needs: 1, run: averaging },
  { name: 'seasonal naive (7 days)', needs: week, run: seasonalNaive },
  { name: 'weekday mean', needs: 2 * week, run: weekdayMean },
  { name: 'damped trend', needs: 5, run: dampedTrend },
  { name: 'Holt-Winters (7 days)', needs: 2 * week, run: holtWinters },
]

export interface SeriesForecast {
  values: number[]
  method: string
  /** Mean absolute error a day on the days held out; undefined when the history is too short to hold any out. */
  backtest_error: number | undefined
  basis: string
}

/** Fewer days cannot be divided into history and test. */
const leastForSelection = 6

const absoluteError = (forecast: Series, truth: Series): number =>
  mean(truth.map((value, day) => Math.abs(value - (forecast[day] ?? 0))))

/**
 * One value for each of the coming days, never negative. The method is the one with the least mean absolute error on the last
 * third of the history (1–14 days), forecast from the days before; a history too short for that gets its mean, and says so.
 */
export const forecastSeries = (history: Series, days: number): SeriesForecast => {
  if (history.length === 0)
    return { values: range(days, () => 0), method: 'none', backtest_error: undefined, basis: 'no whole day of history: 0 a day' }
  if (history.length < leastForSelection) {
    const basis = `mean of ${history.length} day${history.length === 1 ? '' : 's'} of history: too short to choose or test a method`
    return { values: averaging(history, days), method: 'mean', backtest_error: undefined, basis }
  }
  const held = Math.min(14, Math.floor(history.length / 3))
  const training = history.slice(0, -held)
  const truth = history.slice(-held)
  const scored = methods
    .filter((method) => training.length >= method.needs)
    .map((method) => ({ ...method, error: absoluteError(method.run(training, held), truth) }))
    .sort((a, b) => a.error - b.error)
  const best = scored[0] ?? { name: 'mean', run: averaging, error: 0 }
  const relative = mean(truth) > 0 ? ` (${Math.round((best.error / mean(truth)) * 100)} %)` : ''
  return {
    values: best.run(history, days),
    method: best.name,
    backtest_error: best.error,
    basis: `${best.name} over ${history.length} days, best of ${scored.length} methods on the last ${held} days: mean error ${Number(best.error.toPrecision(3))} a day${relative}`,
  }
}
