import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import * as oracle from 'onnx-buf'
import * as ort from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import { AttributeType, DataType, dataTypeFacts, dataTypeName } from '../../../layers/onnx/codec/data-types.ts'
import { attachExternalData } from '../../../layers/onnx/codec/external-data.ts'
import { bfloatToFloat, floatToBfloat, floatToHalf, halfToFloat } from '../../../layers/onnx/codec/half.ts'
import { loadModel, readModel, readModelFile, readProto } from '../../../layers/onnx/codec/read-model.ts'
import type { AttributeProto, ModelProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { smallFloatValues } from '../../../layers/onnx/codec/small-floats.ts'
import { tensorBytes, tensorFloats, tensorValues } from '../../../layers/onnx/codec/tensor-values.ts'
import { layOut, writeModelFiles } from '../../../layers/onnx/codec/write-apart.ts'
import { encodeModel, encodeProto } from '../../../layers/onnx/codec/write-model.ts'
import {
  floatAttr,
  floatsAttr,
  intAttr,
  intsAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  stringAttr,
  tensorAttr,
} from '../../../layers/onnx/graph/build.ts'
import { constantTensor, indexGraph } from '../../../layers/onnx/graph/index-graph.ts'
import { mainGraph, walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { fileName, realModelPaths, runModel } from './real-models.ts'

const scratch = mkdtempSync(join(tmpdir(), 'weights-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const ask = async (nodes: ReturnType<typeof makeNode>[], initializers: TensorProto[], opset = 21): Promise<Float32Array> => {
  const graph = makeGraph({ nodes, outputs: [makeValueInfo('y', DataType.FLOAT)], initializers })
  const session = await ort.InferenceSession.create(encodeModel(makeModel(graph, { opsets: { '': opset }, ir_version: 10 })), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
  })
  const { y } = await session.run({})
  await session.release()
  if (!(y?.data instanceof Float32Array)) throw new Error('wanted floats')
  return y.data
}
const castToFloat = (tensor: TensorProto, opset = 21): Promise<Float32Array> =>
  ask([makeNode('Cast', [tensor.name ?? ''], ['y'], { attributes: [intAttr('to', DataType.FLOAT)] })], [tensor], opset)

const codes = Uint8Array.from({ length: 256 }, (_, code) => code)

describe('numbers of few bits', () => {
  it.each([
    DataType.FLOAT8E4M3FN,
    DataType.FLOAT8E4M3FNUZ,
    DataType.FLOAT8E5M2,
    DataType.FLOAT8E5M2FNUZ,
  ])('of type %i mean what the runtime says, every code of them', async (data_type) => {
    const tensor = makeTensor('w', [256], codes, data_type)
    expect(tensorFloats(tensor)).toEqual(await castToFloat(tensor))
  })

  it('of FLOAT4E2M1 and FLOAT8E8M0 mean what the specification lists', () => {
    expect([...(smallFloatValues(DataType.FLOAT4E2M1) ?? [])]).toEqual(
      [0, 0.5, 1, 1.5, 2, 3, 4, 6].flatMap((each) => [each]).concat([-0, -0.5, -1, -1.5, -2, -3, -4, -6]),
    )
    const powers = smallFloatValues(DataType.FLOAT8E8M0)
    expect([powers?.[0], powers?.[127], powers?.[130], powers?.[255]]).toEqual([2 ** -127, 1, 8, Number.NaN])
  })

  it('of 16 bits mean what the runtime says, every code of them, and come back from it', async () => {
    const patterns = Uint16Array.from({ length: 65_536 }, (_, code) => code)
    for (const [data_type, decode, encode] of [
      [DataType.FLOAT16, halfToFloat, floatToHalf],
      [DataType.BFLOAT16, bfloatToFloat, floatToBfloat],
    ] as const) {
      const tensor = makeTensor('w', [65_536], patterns, data_type)
      expect(tensorFloats(tensor)).toEqual(await castToFloat(tensor))
      for (const code of patterns) if (!Number.isNaN(decode(code))) expect(encode(decode(code))).toBe(code)
    }
  })

  it('round to bfloat16 as the runtime does', async () => {
    const values = Float32Array.from({ length: 4000 }, (_, at) => Math.sin(at) * 10 ** ((at % 70) - 35))
    const nodes = [
      makeNode('Cast', ['w'], ['b'], { attributes: [intAttr('to', DataType.BFLOAT16)] }),
      makeNode('Cast', ['b'], ['y'], { attributes: [intAttr('to', DataType.FLOAT)] }),
    ]
    expect(Float32Array.from(values, (value) => bfloatToFloat(floatToBfloat(value)))).toEqual(
      await ask(nodes, [makeTensor('w', [4000], values)]),
    )
  })

  it('of 4 bits are packed as the runtime unpacks them, odd counts too', async () => {
    const signed = makeTensor('w', [5], Int8Array.of(-8, 7, -1, 0, 3), DataType.INT4)
    const unsigned = makeTensor('w', [5], Uint8Array.of(15, 0, 8, 1, 9), DataType.UINT4)
    expect([...(await castToFloat(signed))]).toEqual([-8, 7, -1, 0, 3])
    expect([...(await castToFloat(unsigned))]).toEqual([15, 0, 8, 1, 9])
    expect([...tensorValues(signed)]).toEqual([-8, 7, -1, 0, 3])
    const two = makeTensor('w', [5], Int8Array.of(-2, 1, -1, 0, 1), DataType.INT2)
    expect([two.raw_data?.length, ...tensorValues(two)]).toEqual([2, -2, 1, -1, 0, 1])
  })
})

/** What each type holds in its typed field, as a writer without raw_data spells it, and the floats it stands for. */
const typed: [number, Parameters<typeof create<typeof oracle.TensorProtoSchema>>[1], number[]][] = [
  [DataType.FLOAT, { floatData: [1.5, -2] }, [1.5, -2]],
  [DataType.DOUBLE, { doubleData: [1.5, -2] }, [1.5, -2]],
  [DataType.INT8, { int32Data: [-3, 100] }, [-3, 100]],
  [DataType.UINT8, { int32Data: [3, 200] }, [3, 200]],
  [DataType.INT16, { int32Data: [-3, 30_000] }, [-3, 30_000]],
  [DataType.UINT16, { int32Data: [3, 60_000] }, [3, 60_000]],
  [DataType.INT32, { int32Data: [-3, 2 ** 30] }, [-3, 2 ** 30]],
  [DataType.BOOL, { int32Data: [1, 0] }, [1, 0]],
  [DataType.FLOAT16, { int32Data: [0x3e00, 0xc000] }, [1.5, -2]],
  [DataType.BFLOAT16, { int32Data: [0x3fc0, 0xc000] }, [1.5, -2]],
  [DataType.FLOAT8E4M3FN, { int32Data: [0x3c, 0xc0] }, [1.5, -2]],
  [DataType.FLOAT8E5M2, { int32Data: [0x3e, 0xc0] }, [1.5, -2]],
  [DataType.INT64, { int64Data: [-3n, 2n ** 40n] }, [-3, 2 ** 40]],
  [DataType.UINT32, { uint64Data: [3n, 2n ** 31n] }, [3, 2 ** 31]],
  [DataType.UINT64, { uint64Data: [3n, 2n ** 40n] }, [3, 2 ** 40]],
  // Two elements to one entry, lowest bits first.
  [DataType.INT4, { int32Data: [0x2d] }, [-3, 2]],
  [DataType.UINT4, { int32Data: [0xe3] }, [3, 14]],
]

describe('weights without raw bytes', () => {
  it.each(
    typed.map((each) => [dataTypeName(each[0]), ...each] as const),
  )('of %s are read as the oracle wrote them and as the runtime reads them, and written back', async (_name, data_type, fields, wanted) => {
    const message = create(oracle.TensorProtoSchema, { name: 'w', dims: [2n], dataType: data_type, ...fields })
    const tensor = readProto('TensorProto', toBinary(oracle.TensorProtoSchema, message))
    expect([...tensorFloats(tensor)]).toEqual(wanted)
    expect(tensorBytes(tensor).length).toBe(Math.ceil((2 * (dataTypeFacts(data_type)?.bits ?? 0)) / 8))
    expect([...(await castToFloat(tensor))]).toEqual(wanted)
    const raw = makeTensor('w', [2], tensorValues(tensor), data_type)
    expect([...(await castToFloat(raw))]).toEqual(wanted)
    expect(fromBinary(oracle.TensorProtoSchema, encodeProto('TensorProto', tensor))).toEqual(message)
  })

  it('of complex type keep their pairs, and are refused as floats', () => {
    const tensor = readProto(
      'TensorProto',
      toBinary(
        oracle.TensorProtoSchema,
        create(oracle.TensorProtoSchema, { name: 'c', dims: [2n], dataType: 14, floatData: [1, 2, 3, 4] }),
      ),
    )
    expect(tensorValues(tensor)).toEqual(Float32Array.of(1, 2, 3, 4))
    expect(() => tensorFloats(tensor)).toThrow(/"c" is COMPLEX64/)
  })

  it('of strings have no bytes, and say so', () => {
    const tensor: TensorProto = {
      ...makeTensor('s', [2], new Uint8Array(0), DataType.STRING),
      string_data: [Uint8Array.of(65), new Uint8Array(0)],
    }
    delete tensor.raw_data
    expect(fromBinary(oracle.TensorProtoSchema, encodeProto('TensorProto', tensor)).stringData).toHaveLength(2)
    expect(() => tensorBytes(tensor)).toThrow(/"s" holds strings/)
  })

  it('that do not fill their shape say what was wanted', () => {
    expect(() => tensorBytes(makeTensor('w', [3, 4], new Float32Array(11)))).toThrow(
      /"w" is \[3,4\] of FLOAT, which takes 48 bytes, but it holds 44/,
    )
  })
})

/** y = x · W1 · W2 + b with W1 of 4 MB. */
const layered = (): ModelProto =>
  makeModel(
    makeGraph({
      nodes: [makeNode('MatMul', ['x', 'w1'], ['m']), makeNode('MatMul', ['m', 'w2'], ['n']), makeNode('Add', ['n', 'b'], ['y'])],
      inputs: [makeValueInfo('x', DataType.FLOAT, [1, 64])],
      outputs: [makeValueInfo('y', DataType.FLOAT, [1, 8])],
      initializers: [
        makeTensor(
          'w1',
          [64, 256],
          Float32Array.from({ length: 64 * 256 }, (_, at) => Math.sin(at)),
        ),
        makeTensor(
          'w2',
          [256, 8],
          Float32Array.from({ length: 2048 }, (_, at) => Math.cos(at)),
        ),
        makeTensor('b', [8], new Float32Array(8).fill(0.5)),
      ],
    }),
  )

describe('weights in other files', () => {
  it('are written on page borders, read back as they were, and loaded by the runtime', async () => {
    const model = layered()
    const path = join(scratch, 'apart.onnx')
    const before = encodeModel(model)
    expect(writeModelFiles(model, path, { from_bytes: 4096 })).toEqual([path, `${path}.data`])
    expect(encodeModel(model)).toEqual(before)
    expect(statSync(path).size).toBeLessThan(1000)
    const read = readModelFile(path)
    expect(
      [...walkTensors(read)].map(({ data_location, external_data }) => [
        data_location ?? 0,
        external_data.find(({ key }) => key === 'offset')?.value,
      ]),
    ).toEqual([
      [1, '0'],
      [1, '65536'],
      [0, undefined],
    ])
    attachExternalData(read, scratch)
    expect(encodeModel(read)).toEqual(before)
    expect(await runModel(path, 'apart.onnx')).toEqual(await runModel(before, 'apart.onnx'))
  })

  it('may be those of a real model with branches', async () => {
    const silero = realModelPaths().find((each) => each.includes('silero')) ?? ''
    const path = join(scratch, 'silero_vad.onnx')
    writeModelFiles(readModelFile(silero), path, { from_bytes: 1024 })
    expect(await runModel(path, fileName(silero))).toEqual(await runModel(silero, fileName(silero)))
    const read = readModelFile(path)
    attachExternalData(read, scratch)
    expect(Buffer.compare(encodeModel(read), readFileSync(silero))).toBe(0)
  })

  it('stay in one file unless asked, as long as that is possible', () => {
    const path = join(scratch, 'whole.onnx')
    expect(writeModelFiles(layered(), path)).toEqual([path])
    expect(loadModel(path)).toEqual(readModel(encodeModel(layered())))
  })

  it('may lie beyond 4 GB', () => {
    const giants = Array.from(
      { length: 3 },
      (_, at): TensorProto => ({ ...makeTensor(`w${at}`, [2 ** 29 + 1], new Float32Array(0)) }),
    )
    expect(layOut(giants, 1).map(({ offset }) => offset)).toEqual([0, 2 ** 31 + 65_536, 2 ** 32 + 2 * 65_536])
    const folder = mkdtempSync(join(scratch, 'sparse-'))
    const offset = 5 * 2 ** 30
    writeFileSync(join(folder, 'w.bin'), '')
    truncateSync(join(folder, 'w.bin'), offset + 8)
    writeSync(openSync(join(folder, 'w.bin'), 'r+'), Float32Array.of(3, 4), 0, 8, offset)
    const model = elsewhere({ location: 'w.bin', offset: String(offset) })
    attachExternalData(model, folder)
    expect([...tensorFloats(mainGraph(model).initializer[0]!)]).toEqual([3, 4])
  })
})

/** A model whose one weight, two floats, says it lies elsewhere. */
const elsewhere = (entries: Record<string, string>): ModelProto => {
  const { raw_data: _, ...tensor } = makeTensor('w', [2], Float32Array.of(1, 2))
  const external_data = Object.entries(entries).map(([key, value]) => ({ key, value }))
  return makeModel(
    makeGraph({
      nodes: [makeNode('Identity', ['w'], ['y'])],
      outputs: [makeValueInfo('y', DataType.FLOAT, [2])],
      initializers: [{ ...tensor, external_data, data_location: 1 }],
    }),
  )
}

describe('weights that lie where they should not', () => {
  const folder = join(scratch, 'model')
  mkdirSync(folder)
  writeFileSync(join(scratch, 'secret'), Buffer.alloc(64, 7))
  writeFileSync(join(folder, 'w.bin'), Buffer.alloc(64))
  symlinkSync(join(scratch, 'secret'), join(folder, 'link'))
  symlinkSync(scratch, join(folder, 'up'))
  linkSync(join(scratch, 'secret'), join(folder, 'twice'))
  copyFileSync(join(folder, 'w.bin'), join(folder, 'short.bin'))
  truncateSync(join(folder, 'short.bin'), 7)

  it.each([
    ['../secret', {}, 'unsafe', /leaves the folder/],
    ['a/../../secret', {}, 'unsafe', /leaves the folder/],
    ['/etc/passwd', {}, 'unsafe', /absolute/],
    ['/dev/zero', {}, 'unsafe', /absolute/],
    ['C:secret', {}, 'unsafe', /absolute/],
    ['..\\secret', {}, 'unsafe', /backslash/],
    ['w.bin\0', {}, 'unsafe', /NUL/],
    ['', {}, 'unsafe', /empty/],
    ['link', {}, 'unsafe', /symbolic link/],
    ['up/secret', {}, 'unsafe', /leaves the folder|names/],
    ['twice', {}, 'unsafe', /2 names/],
    ['.', {}, 'unsafe', /no file/],
    ['w.bin', { offset: '-8' }, 'unsafe', /whole number/],
    ['w.bin', { offset: '1.5' }, 'unsafe', /whole number/],
    ['w.bin', { offset: '60' }, 'truncated', /ends at 64/],
    ['w.bin', { offset: '9007199254740000' }, 'truncated', /ends at 64/],
    ['w.bin', { length: '12' }, 'not_a_model', /12 bytes of it, but its shape takes 8/],
    ['short.bin', {}, 'truncated', /ends at 7/],
    ['nowhere.bin', {}, 'external_data_missing', /not beside/],
  ])('are refused in %j', (location, more, code, detail) => {
    expect(() => attachExternalData(elsewhere({ location, ...more }), folder)).toThrow(
      expect.objectContaining({ code, detail: expect.stringMatching(detail) }),
    )
  })
})

describe('numbers in a Constant node', () => {
  const constant = (attribute: AttributeProto) => makeNode('Constant', [], ['c'], { attributes: [attribute] })
  const known = (attribute: AttributeProto) =>
    constantTensor(indexGraph(makeGraph({ nodes: [constant(attribute)], outputs: [] })), 'c')

  it.each([
    [floatsAttr('value_floats', [1, 2, 3])],
    [intsAttr('value_ints', [1, 2, 3])],
    [tensorAttr('value', makeTensor('t', [3], Uint8Array.of(1, 2, 3)))],
    [floatAttr('value_float', 2)],
    [intAttr('value_int', 2)],
  ])('are the same to the codec and to the runtime, however they are spelled', async (attribute) => {
    const cast = makeNode('Cast', ['c'], ['y'], { attributes: [intAttr('to', DataType.FLOAT)] })
    const tensor = known(attribute)
    expect(tensor && [...tensorFloats(tensor)]).toEqual([...(await ask([constant(attribute), cast], []))])
  })

  it('that are stored sparsely or as text count as computed: nothing is folded into them, and they are written back', async () => {
    const sparse = {
      values: makeTensor('v', [2], Float32Array.of(5, 7)),
      indices: makeTensor('i', [2], BigInt64Array.of(1n, 3n)),
      dims: [4],
    }
    const attribute: AttributeProto = {
      ...floatAttr('sparse_value', 0),
      type: AttributeType.SPARSE_TENSOR,
      sparse_tensor: sparse,
    }
    delete attribute.f
    expect(known(attribute)).toBeUndefined()
    const nodes = [constant(attribute), makeNode('Neg', ['c'], ['y'])]
    expect([...(await ask(nodes, []))]).toEqual([-0, -5, -0, -7])
    const model = readModel(encodeModel(makeModel(makeGraph({ nodes, outputs: [] }))))
    expect(mainGraph(model).node[0]?.attribute[0]?.sparse_tensor?.dims).toEqual([4])
    expect(known(stringAttr('value_string', 'text'))).toBeUndefined()
  })
})
