import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { describeDataset } from '../../../layers/inspector/describe-dataset.ts'
import { onnxInspector } from '../../../layers/inspector/onnx.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { floatRows, idxFile } from '../../support/row-files.ts'

/** What the platform learns of a file of rows. */

const folder = mkdtempSync(join(tmpdir(), 'describe-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const described = (bytes: Uint8Array | string) => {
  const path = join(folder, 'file')
  writeFileSync(path, bytes)
  return describeDataset(path)
}

const images = npyBytes('<f4', [3, 2, 2], floatRows([3, 2, 2]))
const labels = npyBytes('<U4', [3], new Uint8Array(3 * 4 * 4))

describe('a file of rows', () => {
  it('is what its content says', async () => {
    const image = { name: 'image', datatype: '<f4', shape: [3, 2, 2] }
    const label = { name: 'labels', datatype: '<U4', shape: [3] }
    for (const packed of [false, true])
      expect(await described(npzBytes({ 'image.npy': images, 'labels.npy': labels }, packed ? 8 : 0))).toEqual({
        format: 'npz',
        rows: 3,
        arrays: [image, label],
      })
    expect(await described(images)).toEqual({ format: 'npy', rows: 3, arrays: [{ ...image, name: '' }] })
    const idx = idxFile([2, 28, 28], new Uint8Array(2 * 784))
    const one = { format: 'idx', rows: 2, arrays: [{ name: '', datatype: 'u8', shape: [2, 28, 28] }] }
    expect(await described(idx)).toEqual(one)
    expect(await described(gzipSync(idx))).toEqual(one)
    const pair = npzBytes({ 'image.idx': idx, 'labels.idx.gz': gzipSync(idxFile([2], new Uint8Array(2))) }, 8)
    expect(await described(pair)).toMatchObject({
      format: 'zip',
      rows: 2,
      arrays: [{ name: 'image' }, { name: 'labels', shape: [2] }],
    })
  })
  it('may be lines, whose shapes are told where all rows agree', async () => {
    const lines = '{"inputs": {"x": [[1, 2]], "n": [1]}, "label": 0}\n\n{"inputs": {"x": [[3, 4]], "n": [1, 2]}, "label": 1}\n'
    expect(await described(lines)).toEqual({
      format: 'jsonl',
      rows: 2,
      arrays: [
        { name: 'x', datatype: null, shape: [2, 1, 2] },
        { name: 'n', datatype: null, shape: null },
        { name: 'label', datatype: null, shape: [2] },
      ],
    })
  })
  it('may be lines of texts with any separator but a newline, across the pieces they are read in', async () => {
    const text = '\u2028'.repeat(500_000)
    const lines = [1, 2, 3].map((label) => `{"x": "a\u2028b\r${text}", "label": ${label}}`.replace('\r', '\\r')).join('\r\n')
    expect(await described(`${lines}\n`)).toMatchObject({
      format: 'jsonl',
      rows: 3,
      arrays: [{ name: 'x', shape: [3] }, { name: 'label' }],
    })
  })
  it('may be lines as Open Inference requests have them, gzipped too', async () => {
    const x = { name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }
    const lines = [{ inputs: [x] }, { inputs: [x] }].map((line) => JSON.stringify(line)).join('\n')
    const content = { format: 'jsonl', rows: 2, arrays: [{ name: 'x', datatype: null, shape: [2, 1, 2] }] }
    expect(await described(lines)).toEqual(content)
    expect(await described(gzipSync(lines))).toEqual(content)
    expect(await described(`\uFEFF${lines}`)).toEqual(content)
    expect(await described(gzipSync(images))).toMatchObject({ format: 'npy', rows: 3 })
    await expect(described(gzipSync(lines).subarray(0, 40))).rejects.toMatchObject({
      message: expect.stringContaining('cannot be read to its end'),
    })
  })
  it('has no count of rows where its arrays disagree', async () => {
    const other = npyBytes('<f4', [6, 2], floatRows([6, 2]))
    expect(await described(npzBytes({ 'a.npy': images, 'b.npy': other }, 0))).toMatchObject({ rows: null })
  })
  it.each([
    ['nothing', '', 'The file has no bytes'],
    ['a picture', Buffer.from('89504e470d0a1a0a', 'hex'), 'begins with bytes 89504e470d0a1a0a'],
    [
      'an array cut short',
      images.subarray(0, images.length - 4),
      'The array holds 44 bytes of data; wanted 48 for f4 of shape [3,2,2]',
    ],
    ['Python objects', npyBytes('|O', [1], new Uint8Array(8)), 'Python objects are never read'],
    ['an idx of another length', idxFile([3], new Uint8Array(2)), 'The idx file has 10 bytes; wanted 11 for u8 of shape [3]'],
    ['an archive cut short', npzBytes({ 'a.npy': images }, 0).subarray(0, 60), 'without its directory'],
    [
      'an archive of something else',
      npzBytes({ 'readme.md': Buffer.from('# Rows of the test') }, 0),
      'readme.md is no .npy array',
    ],
    ['a line that is no JSON', '{"x": [1]}\n{"x": [2\n', 'Line 2 is no JSON: {"x": [2;'],
    ['a line that is no object', '{"x": [1]}\n[2]\n', 'Line 2 is [2]; wanted an object'],
    ['a label alone', '{"label": 1}', 'Line 1 names no input'],
    [
      'lists nested without end',
      `{"x": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
      'Array x has a shape of 65 axes; wanted at most 32',
    ],
    [
      'such a list alone',
      `${'{"inputs": ['}${'['.repeat(200_000)}${']'.repeat(200_000)}], "x": 1}\n${'['.repeat(200_000)}${']'.repeat(200_000)}`,
      'Line 2 is nested too deeply',
    ],
    [
      'new names on every line',
      Array.from({ length: 300 }, (_, at) => `{"x${at}": 1}`).join('\n'),
      'Up to line 257 there are inputs of 257 names',
    ],
    [
      'numbers of other machines',
      npyBytes('>f4', [3, 2, 2], floatRows([3, 2, 2])),
      "is big-endian; wanted little-endian (array.astype('<f4'))",
    ],
    [
      'columns side by side',
      Buffer.from(Buffer.from(images).toString('latin1').replace("'fortran_order': False", "'fortran_order': True "), 'latin1'),
      'is in Fortran order; wanted C order',
    ],
    ['a line without end', `{"x": "${'a'.repeat(65 * 2 ** 20)}"}`, 'A line is longer than 67108864 characters'],
    ['a name without end', JSON.stringify({ ['n'.repeat(400_000)]: 1 }), 'a name of 400000 characters (nnn'],
    [
      'axes without end',
      npyBytes(
        '<f4',
        Array.from({ length: 9000 }, () => 1),
        floatRows([1]),
      ),
      'a shape of 9000 axes; wanted at most 32',
    ],
    [
      'more arrays than any model has inputs',
      npzBytes(Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`${at}.npy`, images])), 8),
      'holds 257 files; wanted at most 256 arrays',
    ],
  ])('of %s is refused with what is wrong', async (_, bytes, sentence) => {
    await expect(described(bytes)).rejects.toMatchObject({ name: 'OnnxFault', message: expect.stringContaining(sentence) })
  })
  it('is read in a process of its own, whose refusal is the platform’s', async () => {
    const inspector = onnxInspector()
    expect(await described(images)).toEqual(await inspector.describeDataset(join(folder, 'file')))
    writeFileSync(join(folder, 'file'), '[1]')
    const fault = { code: 'invalid_request', extras: { facts: { reason: 'not_a_model' } } }
    await expect(inspector.describeDataset(join(folder, 'file'))).rejects.toMatchObject(fault)
  })
})
