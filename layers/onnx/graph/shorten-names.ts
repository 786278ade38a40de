import type { ModelProto } from '../codec/schema.ts'
import { mainGraph, walkGraphs } from './walk.ts'

/** The shortest names: a, b … z, a0, a1 … */
const nameAt = (at: number): string => {
  const letter = String.fromCharCode(97 + (at % 26))
  return at < 26 ? letter : letter + (Math.floor(at / 26) - 1).toString(36)
}

/**
 * Drops what a model runs without (names of nodes, documentation, shapes of inner values) and gives every value the shortest name there is;
 * inputs and outputs, which callers know, keep theirs. One new name for each old one, sub-graphs included, so that what they capture is
 * still the same. Models with functions of their own stay as they are.
 */
export function shortenNames(model: ModelProto): void {
  if (model.functions.length > 0) return
  const main = mainGraph(model)
  const names = new Map(['', ...[...main.input, ...main.output].map(({ name = '' }) => name)].map((name) => [name, name]))
  const kept = new Set(names.values())
  let next = 0
  const short = (name: string): string => {
    const known = names.get(name)
    if (known !== undefined) return known
    let made = nameAt(next++)
    while (kept.has(made)) made = nameAt(next++)
    names.set(name, made)
    return made
  }
  const rename = (value: { name?: string } | undefined): void => {
    if (value?.name) value.name = short(value.name)
  }
  model.doc_string = undefined
  for (const { graph } of [...walkGraphs(main)]) {
    graph.value_info = []
    graph.doc_string = undefined
    for (const input of [...graph.input, ...graph.output]) rename(input)
    for (const tensor of graph.initializer) {
      rename(tensor)
      tensor.doc_string = undefined
    }
    for (const { values } of graph.sparse_initializer) rename(values)
    graph.quantization_annotation = []
    for (const node of graph.node) {
      node.name = undefined
      node.doc_string = undefined
      node.input = node.input.map(short)
      node.output = node.output.map(short)
    }
  }
}
