import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { recognise } from '../../../layers/onnx/formats/recognise.ts'
import { inspectFile } from '../../../layers/onnx/inspect/inspect-file.ts'
import { field, tarOf, varint, zipOf } from './archives.ts'
import { realModelPaths } from './real-models.ts'

const scratch = mkdtempSync(join(tmpdir(), 'formats-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const given = (bytes: Uint8Array): string => {
  const path = join(scratch, 'upload.onnx')
  writeFileSync(path, bytes)
  return path
}
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7)

/** GLOBAL instructions of a pickle, as text; never loaded by anything. */
const pickle = (...names: string[]): Buffer =>
  Buffer.concat([
    Buffer.from('8002', 'hex'),
    ...names.map((name) => Buffer.from(`c${name.replace(/\.(\w+)$/, '\n$1')}\n`)),
    Buffer.from('.'),
  ])
const stateDict = pickle('collections.OrderedDict', 'torch._utils._rebuild_tensor_v2', 'torch.FloatStorage')
const torchZip = (data: Uint8Array, ...more: string[]) =>
  zipOf([
    { name: 'm/data.pkl', content: data },
    { name: 'm/data/0', content: bytes(400) },
    { name: 'm/data/1', content: bytes(40) },
    ...more.map((name) => ({ name, content: bytes(3) })),
  ])

const node = (name: string, op: string): Buffer => field(1, Buffer.concat([field(1, name), field(2, op)]))
const graphDef = Buffer.concat([node('x', 'Placeholder'), node('w', 'Const'), node('y', 'MatMul'), node('z', 'MatMul')])
const savedModel = Buffer.concat([
  Buffer.from([8, 1]),
  field(2, Buffer.concat([field(1, field(4, 'serve')), field(2, graphDef)])),
])

const safetensors = (header: object, data_bytes: number): Buffer => {
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, bytes(data_bytes)])
}
const twoTensors = {
  __metadata__: { format: 'pt' },
  a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: 'F16', shape: [4], data_offsets: [24, 32] },
}

/** A small TFLite file laid out by hand: one sub-graph whose only tensor, x[-1,3], is its input and its output. */
const tflite = (): Buffer => {
  const file = Buffer.alloc(128)
  const u32 = (at: number, ...values: number[]): void => {
    for (const [index, value] of values.entries()) file.writeInt32LE(value, at + index * 4)
  }
  const u16 = (at: number, ...values: number[]): void => {
    for (const [index, value] of values.entries()) file.writeUInt16LE(value, at + index * 2)
  }
  u32(0, 20)
  file.write('TFL3', 4)
  u16(8, 10, 8, 0, 0, 4) // vtable of Model: only its third field, sub-graphs
  u32(20, 12, 4, 1, 16) // Model; vector of one sub-graph at 28, which lies at 48
  u16(36, 10, 16, 4, 8, 12) // vtable of SubGraph: tensors, inputs, outputs
  u32(48, 12, 12, 16, 12) // SubGraph; tensors at 64, inputs and outputs both at 72
  u32(64, 1, 28, 1, 0) // one tensor, at 96; one index, 0
  u16(80, 12, 12, 4, 0, 0, 8) // vtable of Tensor: shape and name
  u32(96, 16, 8, 16) // Tensor; shape at 108, name at 120
  u32(108, 2, -1, 3, 1)
  file.write('x', 124)
  return file
}

const recognised: [string, () => Uint8Array, object][] = [
  [
    'a PyTorch state dict',
    () => torchZip(stateDict),
    { format: 'pytorch_state_dict', framework: 'pytorch', details: { parameter_bytes: 440 } },
  ],
  [
    'a pickled PyTorch module',
    () => torchZip(pickle('collections.OrderedDict', 'acme.models.Net')),
    { format: 'pytorch_pickle', details: { notes: [expect.any(String), expect.stringContaining('acme.models.Net')] } },
  ],
  [
    'TorchScript',
    () => torchZip(stateDict, 'm/constants.pkl', 'm/code/__torch__.py'),
    { format: 'torchscript', framework: 'pytorch' },
  ],
  [
    'an old PyTorch pickle',
    () => Buffer.concat([Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'), stateDict]),
    { format: 'pytorch_legacy_pickle', framework: 'pytorch' },
  ],
  [
    'a zipped SavedModel',
    () =>
      zipOf([
        { name: 's/saved_model.pb', content: savedModel },
        { name: 's/variables/variables.data-00000-of-00001', content: bytes(99) },
      ]),
    { format: 'tensorflow_savedmodel', framework: 'tensorflow', details: { parameter_bytes: 99 } },
  ],
  [
    'a SavedModel in a tar archive',
    () =>
      tarOf([
        { name: 's/saved_model.pb', content: savedModel },
        { name: 's/variables/variables.data-00000-of-00001', content: bytes(700) },
      ]),
    { format: 'tensorflow_savedmodel', details: { parameter_bytes: 700 } },
  ],
  [
    'a bare saved_model.pb',
    () => savedModel,
    { format: 'tensorflow_savedmodel', details: { operators: { MatMul: 2, Placeholder: 1, Const: 1 } } },
  ],
  ['a frozen graph', () => graphDef, { format: 'tensorflow_graphdef', framework: 'tensorflow' }],
  [
    'a Keras archive',
    () =>
      zipOf([
        {
          name: 'config.json',
          content: Buffer.from('{"config":{"layers":[{"class_name":"Dense"},{"class_name":"Dense"}]}}'),
          deflate: true,
        },
        { name: 'model.weights.h5', content: bytes(50) },
      ]),
    { format: 'keras', framework: 'tensorflow', details: { operators: { Dense: 2 }, parameter_bytes: 50 } },
  ],
  [
    'HDF5 by Keras',
    () =>
      Buffer.concat([Buffer.from('894844460d0a1a0a', 'hex'), Buffer.from('keras_version model_config {"class_name": "Conv2D"}')]),
    { format: 'keras_h5', framework: 'tensorflow', details: { operators: { Conv2D: 1 } } },
  ],
  [
    'TFLite',
    tflite,
    {
      format: 'tflite',
      framework: 'tensorflow',
      details: { inputs: [{ name: 'x', datatype: 'FP32', shape: [null, 3] }], outputs: [{ name: 'x' }] },
    },
  ],
  [
    'safetensors',
    () => safetensors(twoTensors, 32),
    { format: 'safetensors', framework: null, details: { parameter_count: 10, parameter_bytes: 32 } },
  ],
]

describe('recognising a file by its content', () => {
  it.each(recognised)('finds %s whatever the file is called', (_name, content, expected) => {
    expect(recognise(given(content()))).toMatchObject(expected)
  })

  it('finds ONNX in every real model', () => {
    for (const path of realModelPaths()) expect(recognise(path)).toEqual({ format: 'onnx', framework: 'onnx', details: {} })
  })
})

const many = Array.from({ length: 20_001 }, (_, index) => ({ name: `${index}`, content: new Uint8Array(0) }))
const refused: [string, () => Uint8Array, string, RegExp][] = [
  [
    'an archive bomb by size',
    () => zipOf([{ name: 'data.pkl', content: bytes(10), claimed_bytes: 4_000_000_000 }]),
    'unsafe',
    /unpack to 4000000000/,
  ],
  ['an archive bomb by count', () => zipOf(many), 'unsafe', /20001 entries/],
  [
    'a zip entry that leaves its folder',
    () => zipOf([{ name: '../data.pkl', content: bytes(10) }]),
    'unsafe',
    /leave the folder/,
  ],
  [
    'a tar entry that leaves its folder',
    () => tarOf([{ name: '/etc/saved_model.pb', content: bytes(10) }]),
    'unsafe',
    /leave the folder/,
  ],
  [
    'a link in a tar archive',
    () => tarOf([{ name: 'saved_model.pb', content: new Uint8Array(0), link: true }]),
    'unsafe',
    /link/,
  ],
  ['a cut zip archive', () => torchZip(stateDict).subarray(0, 200), 'truncated', /without its directory/],
  [
    'a cut tar archive',
    () => tarOf([{ name: 'saved_model.pb', content: bytes(5000) }]).subarray(0, 2000),
    'truncated',
    /ends at byte 2000/,
  ],
  [
    'a zip archive with a directory elsewhere',
    () => {
      const zip = torchZip(stateDict)
      zip.writeUInt32LE(0x7ffffff0, zip.length - 6)
      return zip
    },
    'truncated',
    /ends at byte/,
  ],
  [
    'a zip archive of something else',
    () => zipOf([{ name: 'a/model.onnx', content: bytes(10) }]),
    'not_a_model',
    /upload "a\/model.onnx" itself/,
  ],
  [
    'a deflated bomb in a Keras configuration',
    () =>
      zipOf([
        { name: 'config.json', content: bytes(40_000_000), deflate: true, claimed_bytes: 100 },
        { name: 'model.weights.h5', content: bytes(1) },
      ]),
    'not_a_model',
    /does not unpack/,
  ],
  ['a plain pickle', () => pickle('os.system'), 'not_a_model', /pickle/],
  ['gzip', () => Buffer.from('1f8b0800000000000003', 'hex'), 'not_a_model', /gzip/],
  ['JSON', () => Buffer.from('{"model": 1}'), 'not_a_model', /text/],
  ['cut safetensors', () => safetensors(twoTensors, 20), 'truncated', /4 more/],
  [
    'safetensors without JSON',
    () => Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{{{{')]),
    'not_a_model',
    /no JSON/,
  ],
  ['a cut TFLite file', () => tflite().subarray(0, 118), 'truncated', /ends at byte 118/],
  ['nothing', () => new Uint8Array(0), 'empty', /0 bytes/],
]

describe('refusing a file', () => {
  it.each(refused)('that is %s', (_name, content, code, detail) => {
    const path = given(content())
    expect(() => recognise(path)).toThrow(
      expect.objectContaining({ name: 'OnnxFault', code, detail: expect.stringMatching(detail) }),
    )
  })

  it('whose content is not of the declared framework', async () => {
    const declare = (content: Uint8Array, framework: 'onnx' | 'tensorflow' | 'pytorch') =>
      inspectFile(given(content), { framework, file_name: 'upload.onnx' })
    await expect(declare(torchZip(stateDict), 'onnx')).rejects.toMatchObject({
      code: 'framework_mismatch',
      detail: expect.stringContaining('pytorch_state_dict (framework "pytorch")'),
    })
    await expect(declare(graphDef, 'pytorch')).rejects.toMatchObject({ code: 'framework_mismatch' })
    await expect(declare(safetensors(twoTensors, 32), 'onnx')).rejects.toMatchObject({ code: 'framework_mismatch' })
    expect(await declare(safetensors(twoTensors, 32), 'tensorflow')).toMatchObject({ format: 'safetensors', parameter_count: 10 })
    expect(await declare(torchZip(stateDict), 'pytorch')).toMatchObject({ format: 'pytorch_state_dict', parameter_bytes: 440 })
  })
})

describe('a protobuf that could be two things', () => {
  it('is no TensorFlow file when only the first bytes fit', () => {
    const onnx = Buffer.concat([Buffer.from([8, 8]), field(2, 'pytorch'), field(7, field(2, 'g')), Buffer.from([8]), varint(9)])
    expect(recognise(given(onnx)).format).toBe('onnx')
  })
})
