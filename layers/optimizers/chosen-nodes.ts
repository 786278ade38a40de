import type { ModelProto } from '../onnx/codec/schema.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { mainGraph, walkNodes } from '../onnx/graph/walk.ts'
import type { NodeChoice } from '../onnx/quantize/node-choice.ts'
import { type NodeOptions, patternsOf } from './node-options.ts'

const SHOWN = 3

/**
 * Options as the compiler takes them. Names are looked up in the file as it was uploaded: folding constants may take a node away, which
 * is no mistake of the caller's.
 * @throws OnnxFault unsupported for a name that no node bears, with the nearest ones; for a pattern that no name matches
 */
export function chosenNodes(original: ModelProto, options: NodeOptions | undefined): NodeChoice {
  if (!options) return {}
  const { nodes_to_quantize, nodes_to_exclude, op_types_to_quantize } = options
  const names = namesOf(original)
  for (const [member, wanted] of Object.entries({ nodes_to_quantize, nodes_to_exclude }))
    for (const [at, pattern] of patternsOf(wanted ?? []).entries()) checkName(names, pattern, wanted?.[at] ?? '', member)
  return {
    ...(nodes_to_quantize ? { nodes_to_quantize: patternsOf(nodes_to_quantize) } : {}),
    ...(nodes_to_exclude ? { nodes_to_exclude: patternsOf(nodes_to_exclude) } : {}),
    ...(op_types_to_quantize ? { op_types_to_quantize } : {}),
  }
}

/** Refuses names that no node bears. @throws OnnxFault unsupported */
export function checkNames(original: ModelProto, wanted: readonly string[], member: string): void {
  const names = namesOf(original)
  for (const [at, pattern] of patternsOf(wanted).entries()) checkName(names, pattern, wanted[at] ?? '', member)
}

const namesOf = (model: ModelProto): Set<string> => {
  mainGraph(model)
  const names = [...walkNodes(model)].flatMap((node) => [node.name ?? '', node.output[0] ?? ''])
  return new Set(names.filter((name) => name !== ''))
}

function checkName(names: ReadonlySet<string>, pattern: string | RegExp, written: string, member: string): void {
  if (typeof pattern === 'string' ? names.has(pattern) : [...names].some((name) => pattern.test(name))) return
  const what = typeof pattern === 'string' ? 'bears the name' : 'matches'
  const near = typeof pattern === 'string' ? nearest(names, pattern) : []
  const hint = near.length > 0 ? `; the nearest are ${near.map((name) => JSON.stringify(name)).join(', ')}` : ''
  throw new OnnxFault('unsupported', `metadata.${member}: no node ${what} ${JSON.stringify(written)}${hint}`)
}

/** The names with the most pairs of neighbouring characters in common (Dice). */
function nearest(names: ReadonlySet<string>, wanted: string): string[] {
  const pairs = (text: string): Set<string> =>
    new Set(Array.from({ length: Math.max(0, text.length - 1) }, (_, at) => text.toLowerCase().slice(at, at + 2)))
  const own = pairs(wanted)
  const likeness = (name: string): number => {
    const other = pairs(name)
    const shared = [...other].filter((pair) => own.has(pair)).length
    return (2 * shared) / Math.max(1, own.size + other.size)
  }
  return [...names]
    .map((name) => ({ name, likeness: likeness(name) }))
    .filter(({ likeness }) => likeness > 0.3)
    .toSorted((a, b) => b.likeness - a.likeness)
    .slice(0, SHOWN)
    .map(({ name }) => name)
}
