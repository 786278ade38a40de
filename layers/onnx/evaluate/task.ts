import { RunFault } from './fault.ts'
import type { Label } from './labels.ts'
import { ArrayFault } from './npy.ts'
import { boxesTally, boxOutputs } from './task-boxes.ts'
import { accuracyTally, decides, f1Tally } from './task-classes.ts'
import { type Score, scorePair } from './task-intervals.ts'
import { determinationTally, errorTally } from './task-numbers.ts'
import { listed, type Outputs, type Tally } from './task-tally.ts'
import { characterErrorTally, exactMatchTally } from './task-texts.ts'
import { elementCount, type TensorValue } from './tensors.ts'

export type TaskMetricName = 'accuracy' | 'exact_match' | 'f1' | 'cer' | 'map' | 'mae' | 'rmse' | 'r2'

/** How labels are to be read; what is not said follows from labels and outputs. */
export interface TaskAsked {
  metric?: TaskMetricName | undefined
  /** The output that answers; the first that fits when absent. */
  output?: string | undefined
  /** Characters by class, without the blank, for texts read by CTC. */
  alphabet?: readonly string[] | undefined
  /** Class of the CTC blank; 0 when absent. */
  blank?: number | undefined
}

export interface TaskFigures {
  metric: TaskMetricName
  rows: number
  original: Score
  candidate: Score
  loss: Score
}

export interface TaskMeter {
  /** Adds what both models answer to one row that stands at `place` in its file. */
  add(original: Outputs, candidate: Outputs, label: Label, place: number): void
  figures(): TaskFigures
}

const errors: readonly TaskMetricName[] = ['cer', 'mae', 'rmse']
const unbounded: readonly TaskMetricName[] = ['mae', 'rmse', 'r2']

/**
 * Judges original and candidate by labels. `outputs` are the original's for one row, and `labels` those of some rows, from which
 * metric and output follow where the task does not say: boxes → `map`; texts → `exact_match` (with an alphabet) or `accuracy`; whole
 * numbers, for an output that decides between classes → `accuracy`; other numbers → `mae`. Fails with ArrayFault when nothing fits.
 */
export function taskMeter(asked: TaskAsked, outputs: Outputs, labels: readonly Label[]): TaskMeter {
  if (asked.output !== undefined && !Object.hasOwn(outputs, asked.output))
    throw new ArrayFault(`The task's output ${asked.output} is none of the model's: ${Object.keys(outputs).join(', ')}`)
  const metric = asked.metric ?? metricOf(asked, outputs, labels)
  const make = tallyMaker(metric, asked, outputs, labels)
  const [original, candidate] = [make(), make()]
  let rows = 0
  return {
    add(wanted, got, label, place) {
      original.add(wanted, label, place)
      try {
        candidate.add(got, label, place)
      } catch (error) {
        // The label fitted the original: what is wrong is the candidate's answer.
        if (error instanceof ArrayFault) throw new RunFault('model_error', `The candidate answers otherwise: ${error.message}`)
        throw error
      }
      rows += 1
    },
    figures: () => {
      const sign = errors.includes(metric) ? -1 : 1
      return { metric, rows, ...scorePair({ original, candidate, rows, sign, bounded: !unbounded.includes(metric) }) }
    },
  }
}

const isBox = (label: Label): boolean => Array.isArray(label) && (label.length === 0 || label.some((each) => Array.isArray(each)))
const isText = (label: Label): boolean => listed(label).some((each) => typeof each === 'string')

function metricOf(asked: TaskAsked, outputs: Outputs, labels: readonly Label[]): TaskMetricName {
  if (labels.length > 0 && labels.every(isBox)) return 'map'
  if (labels.some(isText)) return asked.alphabet ? 'exact_match' : 'accuracy'
  const whole = labels.every((label) => listed(label).every(Number.isInteger))
  return whole && classOutput(asked, outputs, labels) ? 'accuracy' : 'mae'
}

/** The output that decides as many times as labels say; one probability only where labels are all 0 or 1. */
function classOutput(asked: TaskAsked, outputs: Outputs, labels: readonly Label[]): string | undefined {
  const decisions = listed(labels[0] ?? 0).length
  const flags = labels.every((label) => listed(label).every((each) => each === 0 || each === 1))
  const kind = (value: TensorValue) => decides(value, decisions) ?? (flags ? decides(value, 1) : undefined)
  const found = (wanted: string) =>
    Object.keys(outputs).find((name) => (asked.output ?? name) === name && outputs[name] && kind(outputs[name]) === wanted)
  return found('scores') ?? found('answers') ?? (flags ? found('probability') : undefined)
}

function tallyMaker(metric: TaskMetricName, asked: TaskAsked, outputs: Outputs, labels: readonly Label[]): () => Tally {
  const reading = { alphabet: asked.alphabet, blank: asked.blank ?? 0 }
  const unfit = (): never => {
    const shapes = Object.entries(outputs).map(([name, { type, dims }]) => `${name} (${type} [${dims}])`)
    throw new ArrayFault(
      `No output fits the metric ${metric} and labels such as ${JSON.stringify(labels[0])?.slice(0, 60)}; got ${shapes.join(', ')}; wanted another task.metric or task.output`,
    )
  }
  const named = (fits: (value: TensorValue) => boolean): string =>
    asked.output ?? Object.keys(outputs).find((name) => outputs[name] && fits(outputs[name])) ?? unfit()
  if (metric === 'accuracy' || metric === 'f1') {
    const name = asked.output ?? classOutput(asked, outputs, labels) ?? unfit()
    const sample = outputs[name] ?? unfit()
    return () => (metric === 'f1' ? f1Tally(name, sample) : accuracyTally(name, sample))
  }
  if (metric === 'exact_match' || metric === 'cer') {
    const classes = (reading.alphabet?.length ?? 0) + 1
    const name = named((value) => value.type === 'string' || (classes > 1 && value.dims.at(-1) === classes))
    return () => (metric === 'cer' ? characterErrorTally(name, reading) : exactMatchTally(name, reading))
  }
  if (metric === 'map') {
    const where = boxOutputs(outputs, asked.output) ?? unfit()
    return () => boxesTally(where)
  }
  const count = listed(labels[0] ?? 0).length
  const name = named((value) => value.type !== 'string' && elementCount(value.dims) === count)
  return () => (metric === 'r2' ? determinationTally(name) : errorTally(name, metric))
}
