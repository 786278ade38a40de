import { elementCount, numbersOf, sameShape, type TensorValue } from './tensors.ts'

/**
 * What counts as a decision. `undefined`: the largest of each row of float outputs of shape [N, C ≥ 2] or, where the model has none,
 * each element of outputs that hold whole numbers or texts (labels); null: nothing; a name: that output, along its last axis when it
 * holds floats, else each element.
 */
export type ClassOutput = string | null | undefined

interface DecisionFigures {
  top1_agreement: number | null
  decisions: number
  classes_seen: number
}

interface DecisionMeter {
  add(name: string, wanted: TensorValue, got: TensorValue | undefined): void
  figures(): DecisionFigures
}

interface Tally {
  agreed: number
  decisions: number
  seen: Set<number | string>
}

/** Beyond this many the number of different answers tells nothing more. */
const MOST_SEEN = 100

export function decisionMeter(class_output: ClassOutput): DecisionMeter {
  const scores: Tally = { agreed: 0, decisions: 0, seen: new Set() }
  const labels: Tally = { agreed: 0, decisions: 0, seen: new Set() }
  return {
    add(name, wanted, got) {
      if (class_output === null || (class_output !== undefined && class_output !== name)) return
      const found = choices(wanted, class_output !== undefined)
      if (!found) return
      const tally = isFloat(wanted) ? scores : labels
      const answered = sameShape(wanted, got) ? choices(got, true) : undefined
      found.forEach((choice, at) => {
        // Where the original answers no number there is nothing to agree with.
        if (choice === undefined) return
        tally.decisions += 1
        if (answered?.[at] === choice) tally.agreed += 1
        if (tally.seen.size < MOST_SEEN) tally.seen.add(choice)
      })
    },
    figures() {
      const { agreed, decisions, seen } = scores.decisions > 0 ? scores : labels
      return { top1_agreement: decisions > 0 ? agreed / decisions : null, decisions, classes_seen: seen.size }
    },
  }
}

const isFloat = ({ type }: TensorValue): boolean => type.startsWith('float')

/** The decisions of one output; undefined when it makes none. A decision among scores that are no numbers is undefined. */
export function choices(output: TensorValue, declared: boolean): (number | string | undefined)[] | undefined {
  if ('texts' in output) return output.texts
  const values = numbersOf(output)
  if (!values) return undefined
  if (!isFloat(output)) return [...values]
  const classes = output.dims.at(-1) ?? 0
  if (classes < 2 || (!declared && output.dims.length !== 2)) return undefined
  return Array.from({ length: elementCount(output.dims) / classes }, (_, row) => best(values, row * classes, classes))
}

function best(values: Float64Array, start: number, count: number): number | undefined {
  let at = 0
  for (let index = 0; index < count; index += 1) {
    const value = values[start + index] ?? Number.NaN
    if (Number.isNaN(value)) return undefined
    if (value > (values[start + at] ?? 0)) at = index
  }
  return at
}
