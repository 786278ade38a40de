import { writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'

/** Arrays as NumPy keeps them, so that our compiler and ONNX Runtime's Python tools read the same rows from the same file. */

export type Column =
  | { kind: 'float32'; dims: number[]; data: Float32Array }
  | { kind: 'int64'; dims: number[]; data: BigInt64Array }
  | { kind: 'text'; data: readonly string[] }

/** Rows of one shape, one after another. */
export const floatRows = (rows: readonly Float32Array[], shape: readonly number[]): Column => {
  const width = shape.reduce((product, size) => product * size, 1)
  const data = new Float32Array(rows.length * width)
  for (const [at, row] of rows.entries()) {
    if (row.length !== width) throw new RangeError(`Row ${at} holds ${row.length} numbers; wanted ${width} for [${shape}]`)
    data.set(row, at * width)
  }
  return { kind: 'float32', dims: [rows.length, ...shape], data }
}
export const classLabels = (labels: readonly number[]): Column => ({
  kind: 'int64',
  dims: [labels.length],
  data: BigInt64Array.from(labels, BigInt),
})

/** Writes a stored (unpacked) .npz. Sources: numpy.lib.format version 1.0; PKWARE's APPNOTE 4.3. */
export const writeNpz = (path: string, columns: Record<string, Column>): void => {
  const entries = Object.entries(columns).map(([name, column]) => ({ name: Buffer.from(`${name}.npy`), body: npy(column) }))
  const pieces: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, body } of entries) {
    const facts = Buffer.alloc(26)
    facts.writeUInt16LE(20, 0)
    facts.writeUInt32LE(crc32(body), 10)
    facts.writeUInt32LE(body.length, 14)
    facts.writeUInt32LE(body.length, 18)
    facts.writeUInt16LE(name.length, 22)
    pieces.push(signature(0x04034b50), facts, name, body)
    const where = Buffer.alloc(14)
    where.writeUInt32LE(offset, 10)
    directory.push(signature(0x02014b50), Buffer.from([20, 0]), facts, where, name)
    offset += 30 + name.length + body.length
  }
  const end = Buffer.alloc(18)
  const directory_bytes = directory.reduce((total, piece) => total + piece.length, 0)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(directory_bytes, 8)
  end.writeUInt32LE(offset, 12)
  writeFileSync(path, Buffer.concat([...pieces, ...directory, signature(0x06054b50), end]))
}

const signature = (number: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(number)
  return bytes
}

const npy = (column: Column): Buffer => {
  const { descr, dims, bytes } = element(column)
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ')
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`
  const padded = text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11)
  const head = Buffer.from(`\x93NUMPY\x01\x00--${padded}\n`, 'latin1')
  head.writeUInt16LE(padded.length + 1, 8)
  return Buffer.concat([head, bytes])
}

const element = (column: Column): { descr: string; dims: number[]; bytes: Uint8Array } => {
  if (column.kind !== 'text') {
    const { data, dims } = column
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return { descr: column.kind === 'float32' ? '<f4' : '<i8', dims, bytes }
  }
  const letters = column.data.map((text) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0))
  const longest = Math.max(1, ...letters.map((text) => text.length))
  const codes = new Uint32Array(column.data.length * longest)
  for (const [at, text] of letters.entries()) codes.set(text, at * longest)
  return { descr: `<U${longest}`, dims: [column.data.length], bytes: new Uint8Array(codes.buffer) }
}
