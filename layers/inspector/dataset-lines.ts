import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { DatasetArray, DatasetContent } from '../core/domain/dataset.ts'
import { isOnnxFault, OnnxFault } from '../onnx/fault.ts'

/** As many lines are read as JSON; the rest is counted, and read where it is used. */
const READ_LINES = 1000
const MAX_LINE_BYTES = 64 * 2 ** 20

/** What a file of one JSON object per line holds: `{"inputs": {…}, "label": …}`, or the inputs beside the label. */
export const describeLines = async (path: string, most_arrays: number, gzipped = false): Promise<DatasetContent> => {
  const shapes = new Map<string, number[] | null>()
  let rows = 0
  let number = 0
  for await (const whole of linesOf(path, gzipped)) {
    number += 1
    const line = number === 1 ? whole.replace(/^\uFEFF/, '') : whole
    if (line.trim() === '') continue
    rows += 1
    if (rows > READ_LINES) continue
    noteShapes(shapes, membersOf(line, number))
    if (shapes.size > most_arrays)
      throw new OnnxFault(
        'unsafe',
        `Up to line ${number} there are inputs of ${shapes.size} names; wanted at most ${most_arrays}`,
      )
  }
  if (rows === 0) throw new OnnxFault('empty', 'The file holds no line with a row')
  const arrays = [...shapes].map(
    ([name, shape]): DatasetArray => ({ name, datatype: null, shape: shape === null ? null : [rows, ...shape] }),
  )
  return { format: 'jsonl', rows, arrays }
}

/** Lines as those who use the rows split them: at newlines alone, for JSON's texts may hold the other separators of Unicode. */
async function* linesOf(path: string, gzipped: boolean): AsyncGenerator<string> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 })
  const chunks: Readable = gzipped ? file.pipe(createGunzip()) : file
  file.once('error', (error) => chunks.destroy(error))
  chunks.setEncoding('utf8')
  let pieces: string[] = []
  let unbroken = 0
  try {
    for await (const chunk of chunks) {
      const lines = String(chunk).split('\n')
      const last = lines.pop() ?? ''
      if (lines.length > 0) {
        yield pieces.join('') + lines[0]
        yield* lines.slice(1)
        pieces = []
        unbroken = 0
      }
      pieces.push(last)
      unbroken += last.length
      if (unbroken > MAX_LINE_BYTES) throw new OnnxFault('unsafe', `A line is longer than ${MAX_LINE_BYTES} characters`)
    }
  } catch (cause) {
    if (isOnnxFault(cause)) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new OnnxFault('truncated', `The file cannot be read to its end: ${why}`, cause)
  }
  yield pieces.join('')
}

const wanted = 'wanted an object as {"inputs": {"x": [0.1, 0.2]}, "label": 1}'

const membersOf = (line: string, number: number): Record<string, unknown> => {
  let row: unknown
  try {
    row = JSON.parse(line)
  } catch (cause) {
    throw new OnnxFault('not_a_model', `Line ${number} is no JSON: ${line.slice(0, 60)}; ${wanted}`, cause)
  }
  const { inputs, label, ...others } = plain(row, number)
  const given = inputs === undefined ? others : named(inputs, number)
  if (Object.keys(given).length === 0) throw new OnnxFault('not_a_model', `Line ${number} names no input; ${wanted}`)
  return label === undefined ? given : { ...given, label }
}

/** Inputs by name, as a list of `{name, shape, data}`, or the value of the only one, which then has no name here. */
const named = (inputs: unknown, number: number): Record<string, unknown> => {
  if (!Array.isArray(inputs)) return plain(inputs, number)
  const tensors = inputs.map((each: unknown) => [isPlain(each) ? each.name : undefined, each] as const)
  const all_named = tensors.length > 0 && tensors.every(([name]) => typeof name === 'string')
  return all_named ? Object.fromEntries(tensors.map(([name, each]) => [String(name), each])) : { '': inputs }
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const plain = (value: unknown, number: number): Record<string, unknown> => {
  if (isPlain(value)) return value
  throw new OnnxFault('not_a_model', `Line ${number} is ${shown(value)}; ${wanted}`)
}

/** JSON reads lists nested a million times and cannot write them. */
const shown = (value: unknown): string => {
  try {
    return JSON.stringify(value).slice(0, 60)
  } catch {
    return 'nested too deeply'
  }
}

/** The shape of a member while all rows agree on it, else null. */
const noteShapes = (shapes: Map<string, number[] | null>, members: Record<string, unknown>): void => {
  for (const [name, value] of Object.entries(members)) {
    const shape = shapeOf(value)
    const before = shapes.get(name)
    shapes.set(name, before === undefined || (before !== null && String(before) === String(shape)) ? shape : null)
  }
}

/** Lists may be nested a million times; past this nobody counts. */
const MAX_DEPTH = 64

/** Of nested lists, or as `{shape, data}` says. */
const shapeOf = (value: unknown): number[] => {
  if (isPlain(value) && Array.isArray(value.shape) && value.shape.every((size) => Number.isSafeInteger(size))) return value.shape
  const shape: number[] = []
  for (let at = value; Array.isArray(at) && shape.length < MAX_DEPTH; at = at[0]) shape.push(at.length)
  return shape
}
