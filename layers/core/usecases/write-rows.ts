import { npyFile, storedZip } from '../domain/numpy-file.ts'
import type { RecordedTensor } from '../domain/recorded-rows.ts'

/** Recorded rows as a file that optimisations read: .npz where all rows have one shape, else a JSON line each. */

const descriptions: Readonly<Record<string, string>> = {
  BOOL: '|b1',
  UINT8: '|u1',
  UINT16: '<u2',
  UINT32: '<u4',
  UINT64: '<u8',
  INT8: '|i1',
  INT16: '<i2',
  INT32: '<i4',
  INT64: '<i8',
  FP16: '<f2',
  FP32: '<f4',
  FP64: '<f8',
}

/** `rows` tells how many were written: JSON has no infinities, no NaN and no whole numbers past 2⁵³; rows with such are left out there. */
export const writeRows = (rows: readonly RecordedTensor[][]): { file_name: string; bytes: Uint8Array; rows: number } => {
  if (stackable(rows)) return { file_name: 'recorded.npz', bytes: npz(rows), rows: rows.length }
  const lines = rows.map(lineOf).filter(isWritable)
  const bytes = Buffer.concat(lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`)))
  return { file_name: 'recorded.jsonl', bytes, rows: lines.length }
}

/** An array of all rows has one row more along its first axis for each: only what has one sample per row can be read back so. */
const stackable = (rows: readonly RecordedTensor[][]): boolean => {
  const shapeOf = (row: RecordedTensor[]): string => row.map(({ name, datatype, shape }) => `${name}:${datatype}:${shape}`).join()
  const [first] = rows
  if (!first?.every(({ datatype, shape }) => shape[0] === 1 && Object.hasOwn(descriptions, datatype))) return false
  return rows.every((row) => shapeOf(row) === shapeOf(first))
}

const npz = (rows: readonly RecordedTensor[][]): Uint8Array =>
  storedZip(
    (rows[0] ?? []).map(({ name, datatype, shape }, position) => {
      const data = rows.flatMap((row) => row[position]?.data ?? [])
      return { name: `${name}.npy`, bytes: npyFile(descriptions[datatype] ?? '', [rows.length, ...shape.slice(1)], data) }
    }),
  )

const lineOf = (row: RecordedTensor[]) => ({
  inputs: Object.fromEntries(row.map((tensor) => [tensor.name, { shape: tensor.shape, data: valuesOf(tensor) }])),
})

const isWritable = ({ inputs }: ReturnType<typeof lineOf>): boolean =>
  Object.values(inputs).every(({ data }) => data.every((value) => typeof value !== 'number' || Number.isFinite(value)))

const valuesOf = ({ datatype, data }: RecordedTensor): unknown[] => {
  if (datatype === 'BYTES') return JSON.parse(Buffer.from(data).toString('utf8'))
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const [bytes, read] = readers(view)[datatype] ?? []
  if (bytes === undefined || read === undefined) throw new RangeError(`Values of datatype ${datatype} cannot be written`)
  return Array.from({ length: data.byteLength / bytes }, (_, at) => read(at * bytes))
}

const readers = (view: DataView): Record<string, [bytes: number, read: (at: number) => number]> => ({
  BOOL: [1, (at) => view.getUint8(at)],
  UINT8: [1, (at) => view.getUint8(at)],
  UINT16: [2, (at) => view.getUint16(at, true)],
  UINT32: [4, (at) => view.getUint32(at, true)],
  UINT64: [8, (at) => exact(view.getBigUint64(at, true))],
  INT8: [1, (at) => view.getInt8(at)],
  INT16: [2, (at) => view.getInt16(at, true)],
  INT32: [4, (at) => view.getInt32(at, true)],
  INT64: [8, (at) => exact(view.getBigInt64(at, true))],
  FP16: [2, (at) => halfAt(view.getUint16(at, true))],
  FP32: [4, (at) => view.getFloat32(at, true)],
  FP64: [8, (at) => view.getFloat64(at, true)],
})

/** NaN for whole numbers that JSON's numbers do not hold. */
const exact = (value: bigint): number => (BigInt.asIntN(54, value) === value ? Number(value) : Number.NaN)

/** IEEE 754 binary16. */
const halfAt = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
