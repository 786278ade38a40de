import type { FileWindow } from './file-window.ts'
import { type WireField, wireFields } from './protobuf-fields.ts'
import { countNames, nameSome, type Recognised } from './recognised.ts'

/** More nodes than any real graph; keeps the walk bounded. */
const MAX_NODES = 200_000
const MAX_OP_NAME_BYTES = 200

const only = (fields: readonly WireField[], allowed: readonly string[]): boolean =>
  fields.length > 0 && fields.every((field) => allowed.includes(`${field.number}/${field.wire}`))

const take = <T>(items: Iterable<T>, most: number): T[] => {
  const taken: T[] = []
  for (const item of items) {
    taken.push(item)
    if (taken.length >= most) break
  }
  return taken
}

/** `NodeDef.op` (field 2) of a node; undefined when this is no NodeDef (name = 1, op = 2, input = 3, device = 4, attr = 5 …). */
const nodeOp = (file: FileWindow, node: WireField): string | undefined => {
  const fields = take(wireFields(file, node.start, node.end), 64)
  const op = fields.find((field) => field.number === 2)
  const allowed = fields.every((field) => field.wire === 2 && field.number <= 7)
  if (!allowed || fields[0]?.number !== 1 || !op || op.value === 0 || op.value > MAX_OP_NAME_BYTES) return undefined
  const name = file.upTo(op.start, op.value).toString('latin1')
  return /^[A-Za-z_>][\w.>]*$/.test(name) ? name : undefined
}

/** `GraphDef` (node = 1, library = 2, version = 3, versions = 4) in `[from, to)`: its operators, or undefined when it is none. */
const graphOps = (file: FileWindow, from: number, to: number): string[] | undefined => {
  const fields = take(wireFields(file, from, to), MAX_NODES)
  if (!only(fields, ['1/2', '2/2', '3/0', '4/2', '5/2'])) return undefined
  const ops: string[] = []
  for (const field of fields) {
    if (field.number !== 1) continue
    const op = nodeOp(file, field)
    if (op === undefined) return undefined
    ops.push(op)
  }
  return ops.length > 0 ? ops : undefined
}

/** `SavedModel` (schema version = 1, meta graphs = 2) whose `MetaGraphDef` holds its graph in field 2. */
const savedModelOps = (file: FileWindow, from: number, to: number): string[] | undefined => {
  const fields = take(wireFields(file, from, to), 64)
  const meta = fields.find((field) => field.number === 2)
  if (!only(fields, ['1/0', '2/2']) || !meta) return undefined
  const graph = take(wireFields(file, meta.start, meta.end), 64).find((field) => field.number === 2 && field.wire === 2)
  return graph && graphOps(file, graph.start, graph.end)
}

/** A bare TensorFlow protobuf in `[from, to)` of the file; undefined when it is none. */
export const describeTensorflow = (file: FileWindow, from = 0, to = file.size_bytes): Recognised | undefined => {
  const saved = savedModelOps(file, from, to)
  const ops = saved ?? graphOps(file, from, to)
  if (!ops) return undefined
  const operators = countNames(ops)
  const notes = [saved ? 'saved_model.pb alone, without its variables' : 'A frozen graph']
  return {
    format: saved ? 'tensorflow_savedmodel' : 'tensorflow_graphdef',
    framework: 'tensorflow',
    details: { operators, notes },
  }
}

/** An archive with `saved_model.pb` in it; undefined when there is none. Sizes come from the archive's directory. */
export const describeSavedModelArchive = (entries: readonly { name: string; size_bytes: number }[]): Recognised | undefined => {
  const graph = entries.find((entry) => /(^|\/)saved_model\.pb(txt)?$/.test(entry.name))
  if (!graph) return undefined
  const variables = entries.filter((entry) => /(^|\/)variables\/variables\.data-/.test(entry.name))
  const parameter_bytes = variables.reduce((sum, entry) => sum + entry.size_bytes, 0)
  const notes = [`${entries.length} files: ${nameSome(entries.map((entry) => entry.name))}`]
  return { format: 'tensorflow_savedmodel', framework: 'tensorflow', details: { parameter_bytes, notes } }
}
