import type { AttributeProto, NodeProto, TensorProto } from '../codec/schema.ts'

export const attributeOf = (node: NodeProto, name: string): AttributeProto | undefined =>
  node.attribute.find((attribute) => attribute.name === name)

/** An INT attribute as a number (beyond ±2^53 rounded), or what the operator's specification says when it is absent. */
export const intAttribute = (node: NodeProto, name: string, absent: number): number => {
  const attribute = attributeOf(node, name)
  return attribute ? Number(attribute.i ?? 0n) : absent
}

export const floatAttribute = (node: NodeProto, name: string, absent: number): number => {
  const attribute = attributeOf(node, name)
  return attribute ? (attribute.f ?? 0) : absent
}

export const stringAttribute = (node: NodeProto, name: string, absent: string): string => {
  const attribute = attributeOf(node, name)
  return attribute ? Buffer.from(attribute.s ?? new Uint8Array(0)).toString('utf8') : absent
}

/** An INTS attribute as numbers; undefined when absent, which often means something else than an empty list. */
export const intsAttribute = (node: NodeProto, name: string): number[] | undefined => {
  const attribute = attributeOf(node, name)
  return attribute ? Array.from(attribute.ints ?? [], Number) : undefined
}

export const floatsAttribute = (node: NodeProto, name: string): number[] | undefined => {
  const attribute = attributeOf(node, name)
  return attribute ? Array.from(attribute.floats ?? []) : undefined
}

export const tensorAttribute = (node: NodeProto, name: string): TensorProto | undefined => attributeOf(node, name)?.t

/** The same node without these attributes; for rewrites that move an attribute to an input. */
export const withoutAttributes = (node: NodeProto, ...names: string[]): NodeProto => ({
  ...node,
  attribute: node.attribute.filter((attribute) => !names.includes(attribute.name ?? '')),
})
