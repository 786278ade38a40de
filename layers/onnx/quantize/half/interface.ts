import { DataType } from '../../codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from '../../codec/schema.ts'
import { intAttribute } from '../../graph/attributes.ts'
import { intAttr, makeNode } from '../../graph/build.ts'
import { dropUnused, nameSource, replaceUses } from '../../graph/edit.ts'
import { indexGraph, isPlain, topologicalOrder } from '../../graph/index-graph.ts'
import { mainGraph } from '../../graph/walk.ts'

const isFloat = (value: ValueInfoProto): boolean => value.type?.tensor_type?.elem_type === DataType.FLOAT

const turn = (value: ValueInfoProto): void => {
  if (value.type?.tensor_type) value.type.tensor_type.elem_type = DataType.FLOAT16
}

const castTo = (node: NodeProto, type: number): boolean => isPlain(node, 'Cast') && intAttribute(node, 'to', 0) === type

/**
 * Float32 inputs and outputs become float16 (`keep_io_types: false` of ONNX Runtime's converter): callers then exchange half the bytes.
 * Names stay. Call it after `convertToHalf`, whose casts at either end go where they are no longer needed. Answers the names changed.
 */
export function halveInterface(model: ModelProto): string[] {
  const graph = mainGraph(model)
  const stored = new Set(graph.initializer.map(({ name }) => name))
  const inputs = graph.input.filter((value) => isFloat(value) && !stored.has(value.name))
  const outputs = graph.output.filter(isFloat)
  const fresh = nameSource(model)
  for (const value of inputs) halveInput(graph, value, fresh)
  for (const value of outputs) halveOutput(graph, value, fresh)
  graph.node = topologicalOrder(graph)
  dropUnused(model)
  return [...inputs, ...outputs].map(({ name }) => name ?? '')
}

function halveInput(graph: GraphProto, value: ValueInfoProto, fresh: (base: string) => string): void {
  const name = value.name ?? ''
  turn(value)
  const twins = graph.node.filter((node) => node.input[0] === name && castTo(node, DataType.FLOAT16))
  const floats = fresh(`${name}_float`)
  replaceUses(graph, name, floats)
  graph.node.push(makeNode('Cast', [name], [floats], { attributes: [intAttr('to', DataType.FLOAT)], name: floats }))
  for (const twin of twins) {
    graph.node.splice(graph.node.indexOf(twin), 1)
    replaceUses(graph, twin.output[0] ?? '', name)
  }
}

function halveOutput(graph: GraphProto, value: ValueInfoProto, fresh: (base: string) => string): void {
  const name = value.name ?? ''
  turn(value)
  const maker = indexGraph(graph).producers.get(name)
  // An input that is also an output was turned as an input.
  if (!maker) return
  const floats = fresh(`${name}_float`)
  maker.output = maker.output.map((each) => (each === name ? floats : each))
  replaceUses(graph, name, floats)
  const half = castTo(maker, DataType.FLOAT) ? (maker.input[0] ?? '') : undefined
  const node =
    half === undefined
      ? makeNode('Cast', [floats], [name], { attributes: [intAttr('to', DataType.FLOAT16)], name: fresh(`${name}_cast`) })
      : makeNode('Identity', [half], [name], { name: fresh(`${name}_half`) })
  graph.node.push(node)
}
