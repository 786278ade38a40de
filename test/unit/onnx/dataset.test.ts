import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { openDataset, readDataset } from '../../../layers/onnx/evaluate/dataset.ts'
import { ArrayFault } from '../../../layers/onnx/evaluate/npy.ts'
import { numbersOf, type TensorPort } from '../../../layers/onnx/evaluate/tensors.ts'
import { idxBytes, npyBytes, npzBytes, utf32 } from '../../support/arrays.ts'

const folder = mkdtempSync(join(tmpdir(), 'dataset-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const written = (bytes: Uint8Array | string) => {
  const path = join(folder, 'data')
  writeFileSync(path, bytes)
  return path
}
const read = (bytes: Uint8Array | string, ports: TensorPort[], max_rows?: number) =>
  readDataset(written(bytes), ports, max_rows === undefined ? {} : { max_rows })
const lines = (...objects: unknown[]) => objects.map((each) => JSON.stringify(each)).join('\n')
const numbers = (rows: ReturnType<typeof read>['rows'], name: string) =>
  rows.map((row) => {
    const value = row[name]
    return { dims: value?.dims, values: value && [...(numbersOf(value) ?? [])] }
  })
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
const flat: TensorPort = { name: 'x', type: 'float32', shape: ['n', 2] }

describe('arrays with labels', () => {
  const x = npyBytes('<f4', [3, 2], floats(1, 2, 3, 4, 5, 6))

  it.each([
    ['classes', npyBytes('<i8', [3], new Uint8Array(BigInt64Array.of(2n, 0n, 1n).buffer)), [2, 0, 1]],
    ['numbers in a column', npyBytes('<f8', [3, 1], new Uint8Array(Float64Array.of(0.5, 1, 2).buffer)), [0.5, 1, 2]],
    ['texts', npyBytes('<U3', [3], utf32(['añb', 'ß', '😀!'], 3)), ['añb', 'ß', '😀!']],
    ['bytes', npyBytes('|S2', [3], Buffer.from('ab\0\0cd')), ['ab', '', 'cd']],
    ['flags', npyBytes('|b1', [3], Uint8Array.of(1, 0, 1)), [1, 0, 1]],
    [
      'several each',
      npyBytes('|i1', [3, 2], Uint8Array.of(1, 2, 3, 4, 5, 255)),
      [
        [1, 2],
        [3, 4],
        [5, -1],
      ],
    ],
  ])('as %s', (_, labels, wanted) => {
    const set = read(npzBytes({ 'x.npy': x, 'labels.npy': labels }, 8), [flat])
    expect(set.labels).toEqual(wanted)
    expect(numbers(set.rows, 'x')[2]).toEqual({ dims: [1, 2], values: [5, 6] })
  })

  it('as boxes, the unused places left out', () => {
    const boxes = npyBytes('<f4', [2, 2, 5], floats(0, 0, 4, 4, 1, 1, 1, 2, 2, 0, 5, 5, 9, 9, 2, 0, 0, 0, 0, -1))
    const set = read(npzBytes({ 'x.npy': npyBytes('<f4', [2, 2], floats(1, 2, 3, 4)), 'labels.npy': boxes }, 0), [flat])
    expect(set.labels).toEqual([
      [
        [0, 0, 4, 4, 1],
        [1, 1, 2, 2, 0],
      ],
      [[5, 5, 9, 9, 2]],
    ])
  })

  it('by as many rows as were asked for, several samples each where the model wants them', () => {
    const labels = npyBytes('|u1', [6], Uint8Array.of(0, 1, 2, 3, 4, 5))
    const file = npzBytes({ 'any.npy': npyBytes('<f4', [6, 2], new Uint8Array(48)), 'labels.npy': labels }, 8)
    expect(read(file, [flat], 2).labels).toEqual([0, 1])
    expect(read(file, [{ ...flat, shape: [3, 2] }]).labels).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ])
  })

  it('unless the model has an input of that name, or they are not as many as rows', () => {
    const labels = npyBytes('<f4', [3, 2], floats(1, 2, 3, 4, 5, 6))
    const ports: TensorPort[] = [flat, { ...flat, name: 'labels' }]
    expect(read(npzBytes({ 'x.npy': x, 'labels.npy': labels }, 8), ports).labels).toBeUndefined()
    const two = npyBytes('|u1', [2], Uint8Array.of(0, 1))
    expect(() => read(npzBytes({ 'x.npy': x, 'labels.npy': two }, 8), [flat])).toThrow(
      'The labels labels are 2; wanted one for each of 3 samples',
    )
  })

  it('feed inputs that take texts', () => {
    const port: TensorPort = { name: 's', type: 'string', shape: ['n', 1] }
    const set = read(npzBytes({ 's.npy': npyBytes('<U2', [2, 1], utf32(['ab', 'c'], 2)) }, 8), [port])
    expect(set.rows).toEqual(['ab', 'c'].map((text) => ({ s: { type: 'string', dims: [1, 1], texts: [text] } })))
  })
})

describe('idx files', () => {
  const pixels = Uint8Array.of(0, 51, 102, 255, 255, 0, 0, 51)
  const images = idxBytes(8, [2, 2, 2], pixels)
  const labels = idxBytes(8, [2], Uint8Array.of(7, 3))
  const wanted = [0, 0.2, 0.4, 1].map((value) => expect.closeTo(value, 6))

  it.each([
    [
      ['n', 4],
      [1, 4],
    ],
    [
      ['n', 1, 2, 2],
      [1, 1, 2, 2],
    ],
    [
      ['n', 1, 'h', 'w'],
      [1, 1, 2, 2],
    ],
    [
      ['n', 2, 2],
      [1, 2, 2],
    ],
  ])('fill an input of shape %j, bytes as 0 to 1', (shape, dims) => {
    const { rows } = read(images, [{ name: 'x', type: 'float32', shape }])
    expect(numbers(rows, 'x')[0]).toEqual({ dims, values: wanted })
  })

  it('keep their bytes for an input of bytes, and are refused where elements do not agree', () => {
    const { rows } = read(images, [{ name: 'x', type: 'uint8', shape: ['n', 4] }])
    expect(numbers(rows, 'x')[1]?.values).toEqual([255, 0, 0, 51])
    expect(() => read(images, [flat])).toThrow('The array for input x has shape [2,2,2]; wanted [samples, 2]')
  })

  it.each([
    ['x.idx', 'labels.idx'],
    ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'],
    ['mnist/t10k-images-idx3-ubyte.gz', 'mnist/t10k-labels-idx1-ubyte.gz'],
  ])('in a zip as %s and %s', (image_name, label_name) => {
    const packed = (name: string, bytes: Buffer) => (name.endsWith('.gz') ? gzipSync(bytes) : bytes)
    const file = npzBytes({ [image_name]: packed(image_name, images), [label_name]: packed(label_name, labels) }, 8)
    const set = read(file, [{ name: 'x', type: 'float32', shape: ['n', 4] }])
    expect(set.labels).toEqual([7, 3])
    expect(numbers(set.rows, 'x')[0]?.values).toEqual(wanted)
  })

  it('of wider types come big-endian, and gzipped by themselves', () => {
    const bytes = Buffer.alloc(8)
    bytes.writeFloatBE(1.5, 0)
    bytes.writeFloatBE(-2, 4)
    expect(numbers(read(gzipSync(idxBytes(13, [1, 2], bytes)), [flat]).rows, 'x')[0]?.values).toEqual([1.5, -2])
  })

  it('that are cut off are refused', () => {
    expect(() => read(images.subarray(0, 20), [{ ...flat, shape: ['n', 4] }])).toThrow('holds 4 bytes of data; wanted 8')
  })
})

describe('JSON lines', () => {
  const line: TensorPort = { name: 'image', type: 'float32', shape: ['n', 1, 'width'] }
  const ids: TensorPort = { name: 'ids', type: 'int64', shape: ['n', 'length'] }

  it('hold rows of different shapes, with labels', () => {
    const text = lines(
      { inputs: { image: [[[1, 2, 3]]] }, label: 'abc' },
      { image: [[4, 5]], label: '' },
      { inputs: [{ name: 'image', shape: [1, 1, 1], datatype: 'FP32', data: [6] }], label: 'ü' },
      { inputs: [[7]], label: 'd' },
    )
    const set = read(`\ufeff${text.replaceAll('\n', '\r\n\r\n')}\n`, [line])
    expect(set.labels).toEqual(['abc', '', 'ü', 'd'])
    expect(numbers(set.rows, 'image')).toEqual([
      { dims: [1, 1, 3], values: [1, 2, 3] },
      { dims: [1, 1, 2], values: [4, 5] },
      { dims: [1, 1, 1], values: [6] },
      { dims: [1, 1, 1], values: [7] },
    ])
  })

  it('hold several inputs, labels of any kind or none', () => {
    const mask: TensorPort = { ...ids, name: 'mask', type: 'bool' }
    const set = read(gzipSync(lines({ ids: [1, 2], mask: [true, false], labels: [0, 1] })), [ids, mask])
    expect([set.labels, numbers(set.rows, 'mask')]).toEqual([[[0, 1]], [{ dims: [1, 2], values: [1, 0] }]])
    expect(read(lines({ ids: [[1]], label: [[1, 2, 3, 4, 0]] }), [ids]).labels).toEqual([[[1, 2, 3, 4, 0]]])
    expect(read(lines({ ids: [[1]], label: true }), [ids]).labels).toEqual([1])
    expect(read(lines({ ids: [[1]] }), [ids])).not.toHaveProperty('labels')
    const named: TensorPort[] = [ids, { ...ids, name: 'label' }]
    expect(read(lines({ ids: [[1]], label: [[5]] }), named)).not.toHaveProperty('labels')
    expect(read(lines({ inputs: { ids: [[1]], label: [[5]] }, label: 3 }), named).labels).toEqual([3])
  })

  it.each([
    ['no JSON', '{"ids": [1]}\n{"ids": [1', 'Line 2 is no JSON'],
    ['no object', '{"ids": [1]}\n\n[1]', 'Line 3 is a list; wanted an object'],
    ['an input missing', lines({ id: [1] }), 'Line 1 has no value for input ids; got id'],
    ['ragged lists', lines({ ids: [[1, 2], [3]] }), 'Line 1: input ids is ragged at depth 2: got 1 elements; wanted 2'],
    ['numbers among lists', lines({ ids: [[1], 2] }), 'Line 1: input ids is ragged at depth 2: got 2; wanted 1'],
    ['too many dimensions', lines({ ids: [[[1]]] }), 'Line 1: input ids has shape [1,1,1]; wanted [n, length]'],
    ['half a number of a whole type', lines({ ids: [0.5] }), 'Line 1: input ids holds 0.5; wanted whole numbers'],
    ['texts for numbers', lines({ ids: ['1'] }), 'Line 1: input ids holds "1"; wanted whole numbers'],
    ['data that are not its shape', lines({ ids: { shape: [1, 3], data: [1] } }), 'has 1 elements; wanted 3 for its shape [1,3]'],
    ['a label missing', lines({ ids: [1], label: 1 }, { ids: [1] }), 'Line 2 has no label, others have'],
    ['an odd label', lines({ ids: [1], label: {} }), 'The label of line 1 is none: got {}'],
  ])('with %s are refused, naming the line', (_, text, reason) => {
    expect(() => read(text, [ids])).toThrow(reason)
  })
})

describe('any file', () => {
  it.each([
    ['of nothing', ''],
    ['of text', 'hello, world'],
    ['that is a cut gzip', gzipSync(Buffer.alloc(1000)).subarray(0, 20)],
    ['that is a cut zip', npzBytes({ 'x.npy': npyBytes('<f4', [1], floats(1)) }, 8).subarray(0, 60)],
    ['that is a zip of texts', npzBytes({ 'readme.txt': Buffer.from('hello') }, 8)],
    ['that is an empty zip', npzBytes({}, 8)],
    ['of an impossible text length', npyBytes('<U99999999', [1], floats(1))],
  ])('%s is refused with a sentence', (_, bytes) => {
    expect(() => read(bytes, [flat])).toThrow(ArrayFault)
  })

  it.each([
    ['texts of no length', npyBytes('<U0', [2 ** 40], new Uint8Array())],
    ['rows of no element', npyBytes('<f4', [2 ** 40, 0], new Uint8Array())],
  ])('of endless %s is refused at once', (_, bytes) => {
    expect(() => read(bytes, [{ ...flat, shape: ['n', 'm'] }])).toThrow(ArrayFault)
  })

  it('that unpacks to more than a gigabyte is refused before it does', () => {
    const bomb = gzipSync(Buffer.alloc(2 ** 20))
    expect(() => openDataset(written(npzBytes({ 'x.idx.gz': bomb }, 0)), [flat])).toThrow(ArrayFault)
    const large = npzBytes({ 'x.npy': npyBytes('<f4', [1], floats(1)) }, 8)
    // The directory announces two gigabytes.
    large.writeUInt32LE(2 ** 31, large.indexOf(Buffer.from('PK\x01\x02', 'latin1')) + 24)
    expect(() => read(large, [flat])).toThrow('unpacks to more than 1073741824 bytes')
  })

  it.each<[string, Uint8Array]>([
    ['.npy', npyBytes('<f4', [9, 2], new Uint8Array(72).fill(1))],
    ['idx', idxBytes(13, [9, 2], new Uint8Array(72).fill(1))],
    ['JSON lines', Buffer.from(lines(...Array.from({ length: 9 }, (_, x) => ({ x: [x, x] }))))],
  ])('of %s larger than what fits gives its first rows', (_, bytes) => {
    const whole = openDataset(written(bytes), [flat])
    const head = openDataset(written(bytes), [flat], bytes.length - 20)
    expect(whole.count).toBe(9)
    expect(head.count).toBeGreaterThan(4)
    expect(head.count).toBeLessThan(8)
    expect(head.row(head.count - 1)).toEqual(whole.row(head.count - 1))
    const packed = gzipSync(bytes)
    expect(() => openDataset(written(packed), [flat], packed.length - 1)).toThrow('where it is packed')
  })

  it('never crashes the reader, whatever the bytes', () => {
    const seeds = [
      idxBytes(13, [2, 2], new Uint8Array(16)),
      Buffer.from(lines({ x: [1, 2], label: 1 }, { inputs: { x: [[3, 4]] }, label: 2 })),
      npzBytes(
        { 'x.npy': npyBytes('<U2', [2, 2], utf32(['a', 'b', 'c', 'd'], 2)), 'labels.idx': idxBytes(8, [2], Uint8Array.of(1, 2)) },
        8,
      ),
    ]
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }),
        fc.nat(400),
        (seed, flips, length) => {
          const bytes = Uint8Array.from(seed.subarray(0, Math.max(1, length)))
          for (const [at, value] of flips) if (at < bytes.length) bytes[at] = value
          try {
            read(bytes, [flat])
          } catch (error) {
            if (!(error instanceof ArrayFault)) throw error
          }
        },
      ),
      { numRuns: 500, seed: 7 },
    )
  })
})
