import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { npyFile, storedZip, textNpyFile } from '../../layers/core/domain/numpy-file.ts'
import { isIdx } from '../../layers/onnx/evaluate/idx.ts'
import { isJsonLines } from '../../layers/onnx/evaluate/json-lines.ts'
import { readPlain } from '../../layers/onnx/evaluate/npz.ts'
import { unpackMember, zipMembers } from '../../layers/onnx/evaluate/zip-members.ts'
import { UsageFault } from './values.ts'

/**
 * Rows from one file and labels from another as one file in `folder`, because that is what evaluation data are: a zip of the arrays, or
 * JSON lines with a label each. `as_text`: labels that look like numbers are texts. Answers its path.
 * Fails with UsageFault where the labels are of no kind known, or not as many as lines.
 */
export async function withLabels(
  { rows_path, labels_path, as_text }: { rows_path: string; labels_path: string; as_text: boolean },
  folder: string,
): Promise<string> {
  const rows = readPlain(rows_path)
  const labels = readPlain(labels_path)
  const joined = join(folder, 'labelled')
  if (isJsonLines(rows)) {
    await writeFile(joined, labelledLines(rows.toString('utf8'), textLabels(labels, labels_path)))
    return joined
  }
  const members = isZip(rows)
    ? zipMembers(rows).map((member) => ({ name: member.name, bytes: unpackMember(rows, member, MOST_BYTES) }))
    : [{ name: isIdx(rows) ? 'rows.idx' : 'rows.npy', bytes: rows }]
  const others = members.filter(({ name }) => !/^labels?\./.test(name))
  await writeFile(joined, storedZip([...others, labelMember(labels, labels_path, as_text)]))
  return joined
}

const MOST_BYTES = 2 ** 30
const isZip = (bytes: Buffer): boolean => bytes.subarray(0, 2).toString('latin1') === 'PK'
const isNpy = (bytes: Buffer): boolean => bytes.subarray(1, 6).toString('latin1') === 'NUMPY'

function labelMember(bytes: Buffer, path: string, as_text: boolean): { name: string; bytes: Buffer } {
  if (isIdx(bytes)) return { name: 'labels.idx', bytes }
  if (isNpy(bytes)) return { name: 'labels.npy', bytes }
  const lines = textLabels(bytes, path)
  const numbers = lines.map(Number)
  const numeric = !as_text && lines.every((line, at) => line.trim() !== '' && Number.isFinite(numbers[at]))
  return { name: 'labels.npy', bytes: numeric ? numberArray(numbers) : textNpyFile(lines) }
}

/** One a line; a last line break ends the last one and begins none. */
function textLabels(bytes: Buffer, path: string): string[] {
  if (isZip(bytes) || isIdx(bytes) || isNpy(bytes) || bytes.includes(0))
    throw new UsageFault(`--labels ${JSON.stringify(path)} is not usable for these rows; wanted text with one label per line`)
  return bytes
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
}

function labelledLines(text: string, labels: readonly string[]): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.length !== labels.length)
    throw new UsageFault(`--labels has ${labels.length} lines for ${lines.length} rows; wanted one for each`)
  const numeric = labels.every((label) => label.trim() !== '' && Number.isFinite(Number(label)))
  return lines
    .map((line, at) => {
      const label = numeric ? Number(labels[at]) : labels[at]
      return line.trimEnd().replace(/\}$/, `,"label":${JSON.stringify(label)}}`)
    })
    .join('\n')
}

const numberArray = (numbers: readonly number[]): Buffer =>
  npyFile('<f8', [numbers.length], [Buffer.from(Float64Array.from(numbers).buffer)])

/** Characters by class, one per line; the line of a blank stays one. */
export function alphabetFrom(path: string): string[] {
  const lines = readFileSync(path, 'utf8')
    .replace(/^\ufeff/, '')
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
  if (lines.length < 2)
    throw new UsageFault(`--alphabet ${JSON.stringify(path)} has ${lines.length} line; wanted one for each character`)
  return lines
}
