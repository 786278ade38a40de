import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { alphabetFrom, withLabels } from '../../../bin/aideploy/labelled-data.ts'
import { readDataset } from '../../../layers/onnx/evaluate/dataset.ts'
import { numbersOf } from '../../../layers/onnx/evaluate/tensors.ts'
import { idxBytes, npyBytes, npzBytes } from '../../support/arrays.ts'

const folder = mkdtempSync(join(tmpdir(), 'labels-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)
const ports = [{ name: 'x', type: 'float32', shape: [1, 2] }]
const rows = npyBytes('<f4', [3, 2], floats(1, 2, 3, 4, 5, 6))
const read = async (rows_path: string, labels_path: string, as_text = false) => {
  const { rows: feeds, labels } = readDataset(await withLabels({ rows_path, labels_path, as_text }, folder), ports)
  return { labels, values: feeds.map(({ x }) => [...(numbersOf(x!) ?? [])]) }
}
const expected = [
  [1, 2],
  [3, 4],
  [5, 6],
]

describe('rows and labels of two files', () => {
  it.each([
    ['.npy rows', () => file('rows.npy', rows)],
    ['.npz rows', () => file('rows.npz', npzBytes({ 'x.npy': rows }, 8))],
    [
      '.npz rows with labels of their own, which give way',
      () => file('own.npz', npzBytes({ 'x.npy': rows, 'labels.npy': npyBytes('<f8', [3], new Uint8Array(24)) }, 0)),
    ],
    ['idx rows', () => file('rows.idx', idxBytes(8, [3, 2], Uint8Array.of(1, 2, 3, 4, 5, 6)))],
    ['JSON lines', () => file('rows.jsonl', '{"x":[1,2]}\n{"x":[3,4]}\n\n{"inputs":{"x":[5,6]}}\n')],
  ])('%s are judged with numbers, one a line', async (_what, path) => {
    const { values, labels } = await read(path(), file('labels.txt', '7\n8\n9\n'))
    expect(labels).toEqual([7, 8, 9])
    expect(values).toEqual(expected)
  })

  it('are joined whatever the labels are kept in', async () => {
    const path = file('rows.npy', rows)
    expect((await read(path, file('labels.idx', idxBytes(8, [3], Uint8Array.of(0, 1, 2))))).labels).toEqual([0, 1, 2])
    const numbers = new Uint8Array(BigInt64Array.from([3n, 1n, 2n]).buffer)
    expect((await read(path, file('labels.npy', npyBytes('<i8', [3], numbers)))).labels).toEqual([3, 1, 2])
    expect((await read(path, file('texts.txt', 'Grüße\n東京 1\r\nx'))).labels).toEqual(['Grüße', '東京 1', 'x'])
    expect((await read(path, file('digits.txt', '10\n20\n30\n'), true)).labels).toEqual(['10', '20', '30'])
  })

  it('are refused where there are not as many, or the labels are of no use', async () => {
    await expect(read(file('rows.jsonl', '{"x":[1,2]}\n'), file('two.txt', '1\n2\n'))).rejects.toThrow(
      '--labels has 2 lines for 1 rows; wanted one for each',
    )
    await expect(read(file('rows.npy', rows), file('two.txt', '1\n2\n'))).rejects.toThrow(
      /labels are 2; wanted one for each of 3/,
    )
    await expect(read(file('rows.npy', rows), file('zip.zip', npzBytes({ 'y.npy': rows }, 0)))).rejects.toThrow(
      /zip\.zip" is not usable.*one label per line/,
    )
  })
})

it('reads an alphabet with the line of a blank', () => {
  expect(alphabetFrom(file('keys.txt', 'a\n \nß\n'))).toEqual(['a', ' ', 'ß'])
  expect(() => alphabetFrom(file('one.txt', 'abc\n'))).toThrow(/has 1 line; wanted one for each character/)
})
