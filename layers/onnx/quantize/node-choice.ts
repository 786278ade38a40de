import type { NodeProto } from '../codec/schema.ts'
import { plainDomain } from '../graph/opsets.ts'

/** A node's name or its first output (unique, while names need not be): exactly, or by a pattern. */
export type NodePattern = string | RegExp

/** Which nodes to change, as in ONNX Runtime's quantization tools. What is excluded stays whatever else says. */
export interface NodeChoice {
  nodes_to_quantize?: readonly NodePattern[]
  nodes_to_exclude?: readonly NodePattern[]
  op_types_to_quantize?: readonly string[]
}

const matches = (node: NodeProto, patterns: readonly NodePattern[]): boolean =>
  patterns.some((pattern) =>
    [node.name, node.output[0]].some((name) => name && (typeof pattern === 'string' ? pattern === name : pattern.test(name))),
  )

/** Whether the choice takes a node of the default domain; `op_types` are those meant when the choice names none. */
export function choosesNode(choice: NodeChoice, op_types: readonly string[]): (node: NodeProto) => boolean {
  const wanted = new Set(choice.op_types_to_quantize ?? op_types)
  return (node) =>
    plainDomain(node.domain) === '' &&
    wanted.has(node.op_type ?? '') &&
    (!choice.nodes_to_quantize?.length || matches(node, choice.nodes_to_quantize)) &&
    !matches(node, choice.nodes_to_exclude ?? [])
}
