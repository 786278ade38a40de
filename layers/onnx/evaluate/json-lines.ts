import { tensorOf } from './json-tensors.ts'
import type { Label } from './labels.ts'
import { ArrayFault } from './npy.ts'
import type { RowSet } from './supplied.ts'
import type { Feeds, TensorPort } from './tensors.ts'

const NEWLINE = 10

/** Where lines that hold anything begin and end, and which lines of the file they are, from 1. */
interface Line {
  number: number
  start: number
  end: number
}

function linesOf(file: Buffer): Line[] {
  const lines: Line[] = []
  for (let start = 0, number = 1; start < file.length; number += 1) {
    const found = file.indexOf(NEWLINE, start)
    const end = found < 0 ? file.length : found
    let from = start
    while (from < end && file[from]! <= 32) from += 1
    if (from < end) lines.push({ number, start: from, end })
    start = end + 1
  }
  return lines
}

/** Whether the bytes look like JSON lines: an object to begin with, after blanks or a byte order mark. */
export const isJsonLines = (file: Buffer): boolean => /^\ufeff?\s*\{/.test(file.subarray(0, 4096).toString('utf8'))

/**
 * Rows of a file with one JSON object a line: `{"inputs": {"x": [[…]]}, "label": 3}` or `{"x": [[…]], "label": 3}`; `inputs` may
 * also be a list of `{name, shape, data}` as Open Inference requests have it. A value is nested lists in the input's shape, with
 * or without the first dimension, or `{shape, data}` with flat data; rows may differ in shape. Of the beginning of a
 * file (`cut`) the last line is left out. Fails with ArrayFault naming the line.
 */
export function jsonLineRows(file: Buffer, ports: readonly TensorPort[], cut = false): RowSet {
  const body = file[0] === 0xef && file[1] === 0xbb ? file.subarray(3) : file
  const found = linesOf(body)
  const lines = cut ? found.slice(0, -1) : found
  if (lines.length === 0) throw new ArrayFault('The data hold no row')
  let last: (Parsed & { index: number; line: Line }) | undefined
  // A row and its label are asked for one after the other.
  const read = (index: number) => {
    const line = lines[index]
    if (!line) throw new ArrayFault(`The data have ${lines.length} rows; asked for row ${index}`)
    if (last?.index !== index) last = { index, line, ...parsed(body, line, ports) }
    return last
  }
  const labelled = read(0).label !== undefined
  return {
    count: lines.length,
    row: (index) => {
      const { line, values } = read(index)
      return feedsOf(values, ports, line.number)
    },
    label: labelled
      ? (index) => {
          const { line, label } = read(index)
          return labelOf(label, line.number)
        }
      : undefined,
  }
}

interface Parsed {
  values: Record<string, unknown>
  label: unknown
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parsed(body: Buffer, { number, start, end }: Line, ports: readonly TensorPort[]): Parsed {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8', start, end))
  } catch (error) {
    throw new ArrayFault(`Line ${number} is no JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (!isRecord(value))
    throw new ArrayFault(`Line ${number} is ${Array.isArray(value) ? 'a list' : typeof value}; wanted an object`)
  const isInput = (name: string): boolean => ports.some((port) => port.name === name)
  const member = (name: string): unknown => (Object.hasOwn(value, name) ? value[name] : undefined)
  const wrapped = isInput('inputs') ? undefined : member('inputs')
  const label = ['label', 'labels'].filter((name) => wrapped !== undefined || !isInput(name)).map(member)
  return { values: wrapped === undefined ? value : named(wrapped, ports), label: label[0] ?? label[1] }
}

/** The inputs by name: an object as it is, a list of named tensors, or the value of the only input. */
function named(inputs: unknown, ports: readonly TensorPort[]): Record<string, unknown> {
  const only = ports.length === 1 ? ports[0]?.name : undefined
  if (isRecord(inputs)) return inputs
  if (Array.isArray(inputs) && inputs.length > 0 && inputs.every((each) => isRecord(each) && typeof each.name === 'string'))
    return Object.fromEntries(inputs.map((each: Record<string, unknown>) => [String(each.name), each]))
  return only === undefined ? {} : { [only]: inputs }
}

const feedsOf = (values: Record<string, unknown>, ports: readonly TensorPort[], line: number): Feeds =>
  Object.fromEntries(
    ports.map((port) => {
      const value = Object.hasOwn(values, port.name) ? values[port.name] : undefined
      if (value === undefined)
        throw new ArrayFault(`Line ${line} has no value for input ${port.name}; got ${Object.keys(values).join(', ') || 'none'}`)
      return [port.name, tensorOf(value, port, line)]
    }),
  )

function labelOf(label: unknown, line: number): Label {
  if (typeof label === 'number' || typeof label === 'string') return label
  if (typeof label === 'boolean') return Number(label)
  if (Array.isArray(label)) {
    if (label.every((each) => typeof each === 'number')) return label
    if (label.every((each) => typeof each === 'string')) return label
    if (label.every((each) => Array.isArray(each) && each.every((item) => typeof item === 'number')))
      return label.every((each) => each.length === 5) ? label : label.flat()
  }
  if (label === undefined) throw new ArrayFault(`Line ${line} has no label, others have`)
  throw new ArrayFault(`The label of line ${line} is none: got ${JSON.stringify(label)?.slice(0, 60)}; wanted numbers or texts`)
}
