import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
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
  return { name: 'labels.npy', bytes: numeric ? numberArray(numbers) : textArray(lines) }
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

/** https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0. */
function npy(type: string, count: number, data: Buffer): Buffer {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${count},), }`
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1')
  start.writeUInt16LE(padded.length, 8)
  return Buffer.concat([start, Buffer.from(padded, 'latin1'), data])
}

const numberArray = (numbers: readonly number[]): Buffer =>
  npy('<f8', numbers.length, Buffer.from(Float64Array.from(numbers).buffer))

function textArray(texts: readonly string[]): Buffer {
  const characters = texts.map((text) => [...text].map((char) => char.codePointAt(0) ?? 0))
  const longest = Math.max(1, ...characters.map(({ length }) => length))
  const data = new Uint32Array(texts.length * longest)
  for (const [row, codes] of characters.entries()) data.set(codes, row * longest)
  return npy(`<U${longest}`, texts.length, Buffer.from(data.buffer))
}

/** A zip whose members are stored as they are (APPNOTE 4.3). */
function storedZip(members: readonly { name: string; bytes: Buffer }[]): Buffer {
  const pieces: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, bytes } of members) {
    const text = Buffer.from(name)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt32LE(crc32(bytes), 10)
    fields.writeUInt32LE(bytes.length, 14)
    fields.writeUInt32LE(bytes.length, 18)
    fields.writeUInt16LE(text.length, 22)
    const entry = Buffer.alloc(46)
    entry.writeUInt32LE(0x02014b50, 0)
    entry.writeUInt16LE(20, 4)
    fields.copy(entry, 6)
    entry.writeUInt32LE(offset, 42)
    pieces.push(Buffer.from('PK\x03\x04', 'latin1'), fields, text, bytes)
    directory.push(entry, text)
    offset += 30 + text.length + bytes.length
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(members.length, 8)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...pieces, ...directory, end])
}

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
