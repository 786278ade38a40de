import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onnx } from 'onnx-proto'
import { afterAll, describe, expect, it } from 'vitest'
import { loadModel, readModel, readModelFile, readProto } from '../../../layers/onnx/codec/read-model.ts'
import { resolveTensor } from '../../../layers/onnx/codec/tensor-values.ts'
import { encodeModel, encodeProto, modelSize, writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { fileName, realModelPaths, runModel } from './real-models.ts'

const scratch = mkdtempSync(join(tmpdir(), 'codec-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe('the codec on real models', () => {
  it('finds the models it is tested on', () => {
    expect(realModelPaths().length).toBeGreaterThanOrEqual(12)
  })

  it.each(realModelPaths())('reads %s as protobufjs does and writes it back byte for byte', (path) => {
    const bytes = new Uint8Array(readFileSync(path))
    const model = readModel(bytes)
    const written = encodeModel(model)
    expect(Buffer.compare(written, bytes)).toBe(0)
    expect(modelSize(model)).toBe(bytes.length)
    const oracle = onnx.ModelProto.decode(bytes)
    const graph = mainGraph(model)
    expect(graph.node.map((node) => [node.name ?? '', node.op_type, node.input, node.output])).toEqual(
      oracle.graph?.node?.map((node) => [node.name, node.opType, node.input, node.output]),
    )
    expect(graph.initializer.map((tensor) => [tensor.name, tensor.dims, tensor.raw_data?.length ?? 0])).toEqual(
      oracle.graph?.initializer?.map((tensor) => [tensor.name, tensor.dims?.map(Number), tensor.rawData?.length ?? 0]),
    )
  })

  it.each(realModelPaths())('leaves the weights of %s in the file and still writes the same model', (path) => {
    const lazy = readModelFile(path)
    const target = join(scratch, fileName(path))
    expect(writeModelFile(lazy, target)).toBe(readFileSync(path).length)
    expect(Buffer.compare(readFileSync(target), readFileSync(path))).toBe(0)
    expect(mainGraph(lazy).initializer.map(resolveTensor)).toEqual(
      mainGraph(readModel(new Uint8Array(readFileSync(path)))).initializer.map((tensor) => ({ ...tensor })),
    )
  })

  it.each(realModelPaths())('writes %s so that the runtime computes identical outputs', async (path) => {
    const target = join(scratch, `rewritten-${fileName(path)}`)
    writeModelFile(loadModel(path), target)
    expect(await runModel(target, fileName(path))).toEqual(await runModel(path, fileName(path)))
  })
})

/** A model with one of everything the oracle knows. */
const oracleModel = (): onnx.IModelProto => ({
  irVersion: 7,
  producerName: 'prüfer ✓ with a name longer than twenty-four bytes',
  modelVersion: -3,
  opsetImport: [
    { domain: '', version: 13 },
    { domain: 'com.microsoft', version: 1 },
  ],
  metadataProps: [{ key: 'a', value: '' }],
  graph: {
    name: 'g',
    node: [
      {
        opType: 'Loop',
        input: ['a', '', 'b'],
        output: ['y'],
        attribute: [
          { name: 'i', type: 2, i: -7 },
          { name: 'f', type: 1, f: 0.5 },
          { name: 's', type: 3, s: Uint8Array.of(0, 255, 128) },
          { name: 'ints', type: 7, ints: [-1, 0, 127, 128, 2 ** 40] },
          { name: 'floats', type: 6, floats: [1.5, -0.25, 3e38] },
          { name: 'strings', type: 8, strings: [Uint8Array.of(1), new Uint8Array(0)] },
          {
            name: 'body',
            type: 5,
            g: { name: 'inner', node: [{ opType: 'Identity', input: ['a'], output: ['z'] }], output: [{ name: 'z' }] },
          },
          { name: 'graphs', type: 10, graphs: [{ name: 'g1' }, { name: 'g2' }] },
          { name: 't', type: 4, t: { dims: [], dataType: 1, floatData: [42] } },
        ],
      },
    ],
    initializer: [
      { name: 'f', dims: [2, 2], dataType: 1, floatData: [1, 2, 3, 4] },
      { name: 'i32', dims: [3], dataType: 6, int32Data: [-2147483648, 0, 2147483647] },
      { name: 'i64', dims: [2], dataType: 7, int64Data: [-1, 2 ** 45] },
      { name: 'd', dims: [1], dataType: 11, doubleData: [Math.PI] },
      { name: 'u64', dims: [1], dataType: 13, uint64Data: [2 ** 50] },
      { name: 's', dims: [2], dataType: 8, stringData: [Uint8Array.of(65), new Uint8Array(0)] },
      { name: 'raw', dims: [3], dataType: 2, rawData: Uint8Array.of(1, 2, 3) },
      { name: 'x', dims: [1], dataType: 1, dataLocation: 1, externalData: [{ key: 'location', value: 'w.bin' }] },
    ],
    sparseInitializer: [
      {
        values: { name: 'sp', dims: [1], dataType: 1, floatData: [9] },
        indices: { dims: [1], dataType: 7, int64Data: [3] },
        dims: [5],
      },
    ],
    input: [{ name: 'a', type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'N' }, { dimValue: 3 }, {}] } } } }],
    output: [{ name: 'y', type: { sequenceType: { elemType: { tensorType: { elemType: 7 } } } } }],
  },
})

describe('the codec against protobufjs', () => {
  it('reads every kind of field', () => {
    const bytes = onnx.ModelProto.encode(oracleModel()).finish()
    const model = readModel(bytes)
    const graph = mainGraph(model)
    expect(model.model_version).toBe(-3n)
    expect(model.producer_name).toBe(oracleModel().producerName)
    expect(graph.node[0]?.input).toEqual(['a', '', 'b'])
    const attributes = new Map(graph.node[0]?.attribute.map((attribute) => [attribute.name, attribute]))
    expect(attributes.get('i')?.i).toBe(-7n)
    expect(attributes.get('f')?.f).toBe(0.5)
    expect(attributes.get('s')?.s).toEqual(Uint8Array.of(0, 255, 128))
    expect(attributes.get('ints')?.ints).toEqual(BigInt64Array.of(-1n, 0n, 127n, 128n, 2n ** 40n))
    expect(attributes.get('floats')?.floats).toEqual(Float32Array.of(1.5, -0.25, 3e38))
    expect(attributes.get('strings')?.strings.map((bytes) => [...bytes])).toEqual([[1], []])
    expect(attributes.get('body')?.g?.node[0]?.op_type).toBe('Identity')
    expect(attributes.get('graphs')?.graphs.map((inner) => inner.name)).toEqual(['g1', 'g2'])
    const tensors = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
    expect(tensors.get('i32')?.int32_data).toEqual(Int32Array.of(-2147483648, 0, 2147483647))
    expect(tensors.get('i64')?.int64_data).toEqual(BigInt64Array.of(-1n, 2n ** 45n))
    expect(tensors.get('d')?.double_data).toEqual(Float64Array.of(Math.PI))
    expect(tensors.get('u64')?.uint64_data).toEqual(BigUint64Array.of(2n ** 50n))
    expect(graph.input[0]?.type?.tensor_type?.shape?.dim).toEqual([{ dim_param: 'N' }, { dim_value: 3 }, {}])
    expect(graph.output[0]?.type?.sequence_type?.elem_type?.tensor_type?.elem_type).toBe(7)
  })

  it('writes what protobufjs reads back as the same model', () => {
    const bytes = onnx.ModelProto.encode(oracleModel()).finish()
    const again = onnx.ModelProto.decode(encodeModel(readModel(bytes)))
    expect(onnx.ModelProto.toObject(again, { longs: String, bytes: String })).toEqual(
      onnx.ModelProto.toObject(onnx.ModelProto.decode(bytes), { longs: String, bytes: String }),
    )
  })

  it('leaves nothing of a message with every field out of the file form', () => {
    const bytes = onnx.ModelProto.encode(oracleModel()).finish()
    const path = join(scratch, 'everything.onnx')
    writeFileSync(path, bytes)
    expect(readModelFile(path)).toEqual(readModel(bytes))
  })
})

/** A field by hand: tag, length, payload. */
const field = (number: number, payload: Uint8Array): Uint8Array =>
  Buffer.concat([varint((number << 3) | 2), varint(payload.length), payload])
const varint = (value: number): Uint8Array => {
  const out: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.push((rest & 0x7f) | 0x80)
  return Uint8Array.from([...out, rest])
}

describe('the codec on what protobuf allows', () => {
  it('keeps fields it does not know', () => {
    const unknown = Buffer.concat([
      field(900, Uint8Array.of(1, 2, 3)),
      varint((901 << 3) | 0),
      varint(300),
      varint((902 << 3) | 5),
      Uint8Array.of(1, 2, 3, 4),
    ])
    const bytes = Buffer.concat([Uint8Array.of(8, 9), unknown])
    expect(Buffer.compare(encodeModel(readModel(bytes)), bytes)).toBe(0)
  })

  it('merges a graph that comes in two pieces, as every protobuf reader does', () => {
    const piece = (name: string): Uint8Array => field(7, field(5, field(8, Buffer.from(name))))
    const model = readModel(Buffer.concat([piece('a'), piece('b')]))
    expect(model.graph?.initializer.map((tensor) => tensor.name)).toEqual(['a', 'b'])
  })

  it('joins numbers that come packed and one by one', () => {
    const packed = field(5, Buffer.concat([varint(1), varint(300)]))
    const single = Buffer.concat([varint(5 << 3), varint(7)])
    const tensor = readProto('TensorProto', Buffer.concat([packed, single, packed]))
    expect(tensor.int32_data).toEqual(Int32Array.of(1, 300, 7, 1, 300))
  })

  it('lets the last member of a oneof win', () => {
    const dimension = readProto('Dimension', Buffer.concat([Uint8Array.of(8, 5), field(2, Buffer.from('N'))]))
    expect(dimension).toEqual({ dim_param: 'N' })
  })

  it('keeps exact what a double cannot hold', () => {
    const attribute = readProto(
      'AttributeProto',
      encodeProto('AttributeProto', { ...readProto('AttributeProto', Uint8Array.of(24, 1)), i: 2n ** 63n - 1n }),
    )
    expect(attribute.i).toBe(2n ** 63n - 1n)
  })
})
