import { RunFault } from './fault.ts'
import type { Label } from './labels.ts'
import { labelFault, listed, type Outputs, type Tally, weightOf } from './task-tally.ts'
import { numbersOf } from './tensors.ts'

interface Row {
  wanted: readonly number[]
  got: Float64Array
}

function rowOf(outputs: Outputs, name: string, label: Label, place: number): Row {
  const wanted = listed(label)
  if (!wanted.every((each) => typeof each === 'number' && Number.isFinite(each))) throw labelFault(place, label, 'finite numbers')
  const output = outputs[name]
  const got = output && numbersOf(output)
  if (!got || got.length !== wanted.length)
    throw labelFault(place, label, `${got?.length ?? 'some'} numbers, as the output of shape [${output?.dims ?? ''}] answers`)
  if (!got.every(Number.isFinite)) throw new RunFault('model_error', `Output ${name} is no finite number for row ${place}`)
  return { wanted: wanted.map(Number), got }
}

/** Means over all elements of all rows: of absolute errors (`mae`), or the root of that of squared ones (`rmse`). */
export function errorTally(name: string, metric: 'mae' | 'rmse'): Tally {
  const sums: number[] = []
  const counts: number[] = []
  return {
    add(outputs, label, place) {
      const { wanted, got } = rowOf(outputs, name, label, place)
      const errors = wanted.map((each, at) => Math.abs(each - (got[at] ?? 0)))
      sums.push(errors.reduce((sum, error) => sum + (metric === 'mae' ? error : error * error), 0))
      counts.push(errors.length)
    },
    value(weights) {
      let sum = 0
      let count = 0
      for (let row = 0; row < sums.length; row += 1) {
        sum += weightOf(weights, row) * (sums[row] ?? 0)
        count += weightOf(weights, row) * (counts[row] ?? 0)
      }
      const mean = count > 0 ? sum / count : 0
      return metric === 'mae' ? mean : Math.sqrt(mean)
    },
  }
}

/**
 * Coefficient of determination: 1 - squared errors ÷ squared distances of the labels from their mean, each output element with its
 * own mean, weighted by variance where there are several. 0 where labels do not vary.
 */
export function determinationTally(name: string): Tally {
  const rows: { wanted: readonly number[]; error: number }[] = []
  return {
    add(outputs, label, place) {
      const { wanted, got } = rowOf(outputs, name, label, place)
      rows.push({ wanted, error: wanted.reduce((sum, each, at) => sum + (each - (got[at] ?? 0)) ** 2, 0) })
    },
    value(weights) {
      const width = Math.max(...rows.map(({ wanted }) => wanted.length))
      const sums = new Float64Array(width)
      let count = 0
      let error = 0
      for (const [row, each] of rows.entries()) {
        const weight = weightOf(weights, row)
        count += weight
        error += weight * each.error
        for (const [at, wanted] of each.wanted.entries()) sums[at]! += weight * wanted
      }
      let spread = 0
      for (const [row, each] of rows.entries())
        for (const [at, wanted] of each.wanted.entries()) spread += weightOf(weights, row) * (wanted - sums[at]! / count) ** 2
      return spread > 0 ? 1 - error / spread : 0
    },
  }
}
