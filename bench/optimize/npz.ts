import { writeFileSync } from 'node:fs'
import { npyFile, storedZip, textNpyFile } from '../../layers/core/domain/numpy-file.ts'

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

/** Writes a stored (unpacked) .npz. */
export const writeNpz = (path: string, columns: Record<string, Column>): void =>
  writeFileSync(path, storedZip(Object.entries(columns).map(([name, column]) => ({ name: `${name}.npy`, bytes: npy(column) }))))

const npy = (column: Column): Buffer => {
  if (column.kind === 'text') return textNpyFile(column.data)
  const { data, dims } = column
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return npyFile(column.kind === 'float32' ? '<f4' : '<i8', dims, [bytes])
}
