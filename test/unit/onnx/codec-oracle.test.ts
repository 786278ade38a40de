import { globSync, readFileSync } from 'node:fs'
import { create, type DescField, type DescMessage, equals, fromBinary, type Message, toBinary } from '@bufbuild/protobuf'
import * as oracle from 'onnx-buf'
import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { readModel, readProto } from '../../../layers/onnx/codec/read-model.ts'
import { type MessageName, schema } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel, encodeProto } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'

/** Messages as this codec and as the official proto call them. */
const messages: Readonly<Record<MessageName, DescMessage>> = {
  ModelProto: oracle.ModelProtoSchema,
  OperatorSetIdProto: oracle.OperatorSetIdProtoSchema,
  StringStringEntryProto: oracle.StringStringEntryProtoSchema,
  TrainingInfoProto: oracle.TrainingInfoProtoSchema,
  FunctionProto: oracle.FunctionProtoSchema,
  GraphProto: oracle.GraphProtoSchema,
  NodeProto: oracle.NodeProtoSchema,
  AttributeProto: oracle.AttributeProtoSchema,
  TensorProto: oracle.TensorProtoSchema,
  Segment: oracle.TensorProto_SegmentSchema,
  SparseTensorProto: oracle.SparseTensorProtoSchema,
  TensorAnnotation: oracle.TensorAnnotationSchema,
  ValueInfoProto: oracle.ValueInfoProtoSchema,
  TypeProto: oracle.TypeProtoSchema,
  TensorType: oracle.TypeProto_TensorSchema,
  SequenceType: oracle.TypeProto_SequenceSchema,
  MapType: oracle.TypeProto_MapSchema,
  OptionalType: oracle.TypeProto_OptionalSchema,
  TensorShapeProto: oracle.TensorShapeProtoSchema,
  Dimension: oracle.TensorShapeProto_DimensionSchema,
}
const names = Object.keys(messages).filter((name): name is MessageName => name in schema)

/** Sizes and versions are read as doubles; everything else may be as large as its type. */
const safe = new Set('ir_version version dims dim begin end dim_value'.split(' '))

type Random = () => number
const pick = (random: Random, count: number): number => Math.floor(random() * count)

const scalarOf = (field: DescField, random: Random): unknown => {
  if (field.enum) return field.enum.values[pick(random, field.enum.values.length)]?.number
  switch (String(field.scalar)) {
    case '1':
      return random() * 1e300 - 5e299
    case '2':
      return Math.fround(random() * 200 - 100)
    case '3':
      return safe.has(field.name)
        ? BigInt(pick(random, 2 ** 48))
        : BigInt.asIntN(64, BigInt(pick(random, 2 ** 52)) * 0x1fff_ffffn)
    case '4':
      return BigInt.asUintN(64, BigInt(pick(random, 2 ** 52)) * 0xffff_ffffn)
    case '5':
      return pick(random, 2 ** 32) - 2 ** 31
    case '9':
      return ['', 'x', 'a name longer than twenty-four bytes', 'Größe ✓', '名前'][pick(random, 5)]
    case '12':
      return Uint8Array.from({ length: pick(random, 40) }, () => pick(random, 256))
    default:
      throw new Error(`No value for ${field.name} of type ${field.scalar}`)
  }
}

/** A message with every field set, lists of up to three, down to `depth`; the members of a oneof by turns. */
const filled = (desc: DescMessage, random: Random, depth: number): Message => {
  const init: Record<string, unknown> = {}
  for (const field of desc.fields) {
    const inner = field.message
    if (inner && depth === 0) continue
    const one = (): unknown => (inner ? filled(inner, random, depth - 1) : scalarOf(field, random))
    const value = field.fieldKind === 'list' ? Array.from({ length: pick(random, 4) }, one) : one()
    if (!field.oneof) init[field.localName] = value
    else if (random() < 0.5 || init[field.oneof.localName] === undefined)
      init[field.oneof.localName] = { case: field.localName, value }
  }
  return create(desc, init)
}

describe('the codec against the official proto', () => {
  it('lists each field under its own name and number, and leaves out what no runtime reads', () => {
    const left_out: string[] = []
    for (const name of names) {
      const official = new Map(messages[name].fields.map((field) => [field.name, field]))
      for (const [field, { number }] of Object.entries(schema[name]))
        expect([name, field, official.get(field)?.number]).toEqual([name, field, number])
      for (const field of official.keys()) if (!Object.hasOwn(schema[name], field)) left_out.push(`${name}.${field}`)
    }
    expect(left_out).toEqual(['ModelProto.configuration', 'NodeProto.device_configurations'])
  })

  it.each(names)('reads and writes %s with every field as the oracle does, and keeps those it does not list', (name) => {
    const random = seededRandom(7)
    for (let round = 0; round < 12; round++) {
      const message = filled(messages[name], random, name === 'ModelProto' || name === 'TypeProto' ? 4 : 3)
      const bytes = toBinary(messages[name], message)
      if (bytes.length === 0) continue
      const written = encodeProto(name, readProto(name, bytes))
      expect(equals(messages[name], fromBinary(messages[name], written), message), `round ${round}`).toBe(true)
      expect(Buffer.compare(encodeProto(name, readProto(name, written)), written)).toBe(0)
    }
  })
})

/** Every model that any installed package ships. */
const shipped = globSync('node_modules/**/*.onnx').sort()

describe('the codec on every .onnx file below node_modules', () => {
  it('finds some', () => {
    expect(shipped.length).toBeGreaterThanOrEqual(12)
  })

  it.each(shipped)('writes %s as the oracle understands it, the same every time, and the runtime loads it', async (path) => {
    const bytes = new Uint8Array(readFileSync(path))
    const written = encodeModel(readModel(bytes))
    const [before, after] = [fromBinary(oracle.ModelProtoSchema, bytes), fromBinary(oracle.ModelProtoSchema, written)]
    expect(equals(oracle.ModelProtoSchema, before, after)).toBe(true)
    expect(Buffer.compare(encodeModel(readModel(written)), written)).toBe(0)
    const session = await ort.InferenceSession.create(written, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })
    await session.release()
  })
})
