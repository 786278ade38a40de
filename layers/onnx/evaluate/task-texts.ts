import type { Label } from './labels.ts'
import { ArrayFault } from './npy.ts'
import { labelFault, listed, type Outputs, ratioTally, type Tally } from './task-tally.ts'
import { elementCount, numbersOf, type TensorValue } from './tensors.ts'

/** How classes become characters; without it only outputs that are texts already can be read. */
export interface TextReading {
  alphabet: readonly string[] | undefined
  blank: number
}

/**
 * The texts of an output: as they are, or the most likely class of each step, repeated ones once, blanks dropped (greedy CTC;
 * Graves et al., Connectionist Temporal Classification, 2006). Scores are [texts, steps, classes], or [steps, texts, classes] where
 * only that gives as many texts as wanted. Fails with ArrayFault when alphabet and classes do not agree.
 */
export function textsOf(output: TensorValue | undefined, count: number, reading: TextReading): string[] {
  if (!output) return []
  if ('texts' in output) return output.texts
  const { alphabet, blank } = reading
  if (!alphabet)
    throw new ArrayFault('The labels are texts and the output is numbers; wanted task.alphabet, the characters by class')
  const classes = output.dims.at(-1) ?? 0
  if (!output.type.startsWith('float') || classes !== alphabet.length + 1)
    throw new ArrayFault(
      `The output of ${output.type} and shape [${output.dims}] has ${classes} classes; wanted float scores of ${alphabet.length + 1}, the ${alphabet.length} characters of the alphabet and the blank`,
    )
  const values = numbersOf(output) ?? new Float64Array()
  const steps = elementCount(output.dims) / classes / count
  if (!Number.isInteger(steps)) return []
  const first = output.dims.length < 3 || output.dims.at(-3) === count
  const at = (text: number, step: number): number => (first ? text * steps + step : step * count + text) * classes
  return Array.from({ length: count }, (_, text) => {
    let read = ''
    let last = blank
    for (let step = 0; step < steps; step += 1) {
      const best = likeliest(values, at(text, step), classes)
      if (best !== last && best !== blank) read += alphabet[best < blank ? best : best - 1] ?? ''
      last = best
    }
    return read
  })
}

function likeliest(values: Float64Array, start: number, count: number): number {
  let best = 0
  for (let at = 1; at < count; at += 1) if (values[start + at]! > values[start + best]!) best = at
  return best
}

/** Fewest insertions, deletions and substitutions of characters that make one text the other (Levenshtein, 1966). */
export function editDistance(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (const [at, character] of a.entries()) {
    const next = [at + 1]
    for (const [other, each] of b.entries())
      next.push(Math.min(next[other]! + 1, row[other + 1]! + 1, row[other]! + Number(each !== character)))
    row = next
  }
  return row.at(-1) ?? 0
}

function wantedTexts(label: Label, place: number): readonly string[] {
  const list = listed(label)
  if (!list.every((each) => typeof each === 'string')) throw labelFault(place, label, 'a text')
  return list
}

/** Share of texts that are read as their labels say, character by character. */
export const exactMatchTally = (name: string, reading: TextReading): Tally =>
  ratioTally((outputs: Outputs, label, place) => {
    const wanted = wantedTexts(label, place)
    const got = textsOf(outputs[name], wanted.length, reading)
    return [wanted.filter((text, at) => text === got[at]).length, wanted.length]
  })

/** Character error rate: edits over all texts ÷ characters of all labels. */
export const characterErrorTally = (name: string, reading: TextReading): Tally => {
  const tally = ratioTally((outputs: Outputs, label, place) => {
    const wanted = wantedTexts(label, place)
    const got = textsOf(outputs[name], wanted.length, reading)
    const edits = wanted.map((text, at) => editDistance([...text], [...(got[at] ?? '')]))
    return [edits.reduce((sum, each) => sum + each, 0), wanted.reduce((sum, text) => sum + [...text].length, 0)]
  })
  return { add: tally.add, value: tally.value }
}
