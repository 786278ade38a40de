import { closeSync, openSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { walkTensors } from '../graph/walk.ts'
import { EXTERNAL } from './data-types.ts'
import { MAX_MODEL_BYTES } from './read-model.ts'
import type { ModelProto, TensorProto } from './schema.ts'
import { fileSink, writeAll } from './sink.ts'
import { isExternal, tensorBytes, tensorSize } from './tensor-values.ts'
import { modelBytes, writeModelFile } from './write-model.ts'

/** Offsets on page borders, so that the runtime can map the file; larger pages than 4 kB exist on ARM and Windows. */
const ALIGNMENT_BYTES = 65_536
/** Smaller ones stay inside: shapes and axes must be at hand before the other file is opened. */
const SMALLEST_APART_BYTES = 1024

export interface Apart {
  tensor: TensorProto
  offset: number
  size_bytes: number
}

/** Where each tensor of at least `from_bytes` comes to lie in one file, in the order of the model. Strings have no such bytes. */
export const layOut = (tensors: Iterable<TensorProto>, from_bytes: number): Apart[] => {
  const apart: Apart[] = []
  let end = 0
  for (const tensor of tensors) {
    const size_bytes = isExternal(tensor) ? 0 : tensorSize(tensor)
    if (size_bytes < Math.max(1, from_bytes)) continue
    const offset = Math.ceil(end / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    apart.push({ tensor, offset, size_bytes })
    end = offset + size_bytes
  }
  return apart
}

const writeApart = (apart: readonly Apart[], path: string): void => {
  const fd = openSync(path, 'w')
  try {
    let at = 0
    for (const { tensor, offset, size_bytes } of apart) {
      writeAll(fd, new Uint8Array(offset - at))
      const range = tensor.ranges?.raw_data
      const sink = fileSink(fd)
      if (range) sink.range(range)
      else sink.bytes(tensorBytes(tensor))
      sink.finish()
      at = offset + size_bytes
    }
  } finally {
    closeSync(fd)
  }
}

/** The tensor as a reference to its bytes in another file. */
const reference = ({ tensor, offset, size_bytes }: Apart, location: string): TensorProto => {
  const { ranges: _, raw_data, float_data, int32_data, int64_data, double_data, uint64_data, ...rest } = tensor
  const entries = { location, offset: String(offset), length: String(size_bytes) }
  const external_data = Object.entries(entries).map(([key, value]) => ({ key, value }))
  return { ...rest, external_data, data_location: EXTERNAL }
}

/**
 * Writes a model whose tensors of `from_bytes` bytes and more lie in a second file `<name>.data` beside it: the form for models
 * beyond 2 GiB, which no single protobuf holds, and for loading by memory map. When `from_bytes` is left out, only a model that is too
 * large for one file is split. Leaves `model` as it was. Answers the files written, the model first.
 *
 * @throws what `writeModelFile` throws
 */
export const writeModelFiles = (model: ModelProto, path: string, options: { from_bytes?: number } = {}): string[] => {
  const too_large = modelBytes(model) > MAX_MODEL_BYTES
  const apart =
    options.from_bytes === undefined && !too_large ? [] : layOut(walkTensors(model), options.from_bytes ?? SMALLEST_APART_BYTES)
  if (apart.length === 0) {
    writeModelFile(model, path)
    return [path]
  }
  const location = `${basename(path)}.data`
  const data_path = join(dirname(path), location)
  writeApart(apart, data_path)
  const inside = apart.map((each) => ({ tensor: each.tensor, kept: { ...each.tensor }, outside: reference(each, location) }))
  try {
    for (const { tensor, outside } of inside) replaceFields(tensor, outside)
    writeModelFile(model, path)
  } finally {
    for (const { tensor, kept } of inside) replaceFields(tensor, kept)
  }
  return [path, data_path]
}

/** Tensors lie in initializers, attributes and sub-graphs: changing them in place for a moment spares a copy of all of that. */
const replaceFields = (tensor: TensorProto, fields: TensorProto): void => {
  for (const key of Object.keys(tensor)) Reflect.deleteProperty(tensor, key)
  Object.assign(tensor, fields)
}
