import { choices } from './decisions.ts'
import type { Label } from './labels.ts'
import { labelFault, listed, type Outputs, ratioTally, type Tally, weightOf } from './task-tally.ts'
import { elementCount, numbersOf, type TensorValue } from './tensors.ts'

/** Positions with this label are nobody's business, as in PyTorch's and Hugging Face's losses. */
const IGNORED = -100

type Choice = number | string | undefined

/** Scores along the last axis make as many decisions as there are other elements. */
const classesOf = (output: TensorValue, decisions: number): number | undefined => {
  const classes = output.dims.at(-1) ?? 0
  const scores = output.type.startsWith('float') && classes >= 2
  return scores && elementCount(output.dims) === decisions * classes ? classes : undefined
}

/** Whether an output can make that many decisions, and how: by scores, as classes or texts themselves, by one probability each. */
export function decides(output: TensorValue, decisions: number): 'scores' | 'answers' | 'probability' | undefined {
  if (classesOf(output, decisions) !== undefined) return 'scores'
  if (elementCount(output.dims) !== decisions) return undefined
  return output.type.startsWith('float') ? 'probability' : 'answers'
}

/** A label as the decisions wanted: a one-hot list of as many as there are classes is one decision. */
function wantedOf(label: Label, output: TensorValue | undefined): readonly (number | string)[] {
  const list = listed(label)
  const one_hot =
    list.length > 1 && list.every((each) => each === 0 || each === 1) && list.filter((each) => each === 1).length === 1
  return output && one_hot && classesOf(output, list.length) === undefined && classesOf(output, 1) === list.length
    ? [list.indexOf(1)]
    : list
}

/** What an output decided; undefined for one that is missing or of a shape that decides otherwise. */
function chosen(output: TensorValue | undefined, decisions: number): readonly Choice[] {
  const kind = output && decides(output, decisions)
  if (!output || !kind) return []
  if (kind !== 'probability') return choices(output, true) ?? []
  return [...(numbersOf(output) ?? [])].map((share) => (Number.isNaN(share) ? undefined : Number(share >= 0.5)))
}

/** Fails with ArrayFault unless the label is one that this output can answer. */
function checked(label: Label, wanted: readonly (number | string)[], output: TensorValue | undefined, place: number): void {
  if (!output) return
  const texts = output.type === 'string'
  const classes = classesOf(output, wanted.length) ?? (decides(output, wanted.length) === 'probability' ? 2 : undefined)
  for (const each of wanted) {
    if (texts !== (typeof each === 'string'))
      throw labelFault(place, label, texts ? 'texts, as the output answers' : 'numbers of classes, as the output answers')
    if (typeof each === 'string' || (each === IGNORED && wanted.length > 1)) continue
    if (!Number.isInteger(each) || (classes !== undefined && (each < 0 || each >= classes)))
      throw labelFault(
        place,
        label,
        classes ? `whole numbers from 0 to ${classes - 1}, the classes of the output` : 'whole numbers',
      )
  }
}

interface Decision {
  wanted: number | string
  choice: Choice
}

function decisionsOf(outputs: Outputs, name: string, shape: TensorValue, label: Label, place: number): Decision[] {
  const output = outputs[name]
  const wanted = wantedOf(label, output ?? shape)
  checked(label, wanted, output ?? shape, place)
  if (output && !decides(output, wanted.length))
    throw labelFault(place, label, `as many labels as the output of shape [${output.dims}] decides`)
  const got = chosen(output, wanted.length)
  return wanted.flatMap((each, at) => (each === IGNORED ? [] : [{ wanted: each, choice: got[at] }]))
}

/** Share of decisions that are the label. `sample` is an answer of the original, by which labels are checked. */
export const accuracyTally = (name: string, sample: TensorValue): Tally =>
  ratioTally((outputs, label, place) => {
    const all = decisionsOf(outputs, name, sample, label, place)
    return [all.filter(({ wanted, choice }) => wanted === choice).length, all.length]
  })

/**
 * F1 score, the mean over all classes that labels or answers name, each alike (macro, as scikit-learn's `f1_score(average='macro')`).
 */
export function f1Tally(name: string, sample: TensorValue): Tally {
  const classes = new Map<Choice, number>()
  const known = (choice: Choice): number => {
    const found = classes.get(choice) ?? classes.size
    classes.set(choice, found)
    return found
  }
  const rows: { wanted: number; got: number }[][] = []
  return {
    add(outputs, label, place) {
      const all = decisionsOf(outputs, name, sample, label, place)
      rows.push(all.map(({ wanted, choice }) => ({ wanted: known(wanted), got: known(choice) })))
    },
    value(weights) {
      const right = new Float64Array(classes.size)
      const named = new Float64Array(classes.size)
      for (const [row, all] of rows.entries())
        for (const { wanted, got } of all) {
          const weight = weightOf(weights, row)
          named[wanted]! += weight
          named[got]! += weight
          if (wanted === got) right[wanted]! += weight
        }
      const scores = [...named].flatMap((each, at) => (each > 0 ? [(2 * right[at]!) / each] : []))
      return scores.length > 0 ? scores.reduce((sum, each) => sum + each, 0) / scores.length : 0
    },
  }
}
