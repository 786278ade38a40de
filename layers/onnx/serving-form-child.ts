import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import { DataType, EXTERNAL } from './codec/data-types.ts'
import { readModelFile } from './codec/read-model.ts'
import type { ModelProto, TensorProto } from './codec/schema.ts'
import { eachPiece, writeAll } from './codec/sink.ts'
import { isExternal, tensorBytes, tensorSize } from './codec/tensor-values.ts'
import { writeModelFile } from './codec/write-model.ts'
import { dieWithParent } from './evaluate/orphan-guard.ts'
import { isOnnxFault, OnnxFault } from './fault.ts'
import { attributeOf } from './graph/attributes.ts'
import { isPlain } from './graph/index-graph.ts'
import { settleIrVersion } from './graph/opsets.ts'
import { mainGraph, walkTensors } from './graph/walk.ts'
import type { FormRequest } from './serving-form.ts'

/** The process that writes the serving form of one foreign model and loads it once. Started, limited and ended by `serving-form.ts`. */

/** Weights larger than this leave the graph; smaller ones (shapes, axes) must stay, because the runtime reads them while loading. */
const LARGE_BYTES = 1024
/** Page size: the runtime maps a weight into memory instead of copying it when it starts on a page. */
const PAGE_BYTES = 4096

const write = ({ model_path, out_dir }: FormRequest): string => {
  const model = readModelFile(model_path)
  refuseExternal(model)
  mkdirSync(out_dir, { recursive: true })
  if (liftConstants(model) > 0) settleIrVersion(model)
  moveWeights(model, join(out_dir, 'weights.bin'))
  const written = join(out_dir, 'model.onnx')
  writeModelFile(model, written, { flush: true })
  return written
}

const refuseExternal = (model: ModelProto): void => {
  for (const tensor of walkTensors(model)) {
    if (isExternal(tensor))
      throw new OnnxFault(
        'external_data_missing',
        `Tensor "${tensor.name ?? ''}" keeps its data in another file; upload one that holds its weights`,
      )
  }
}

const isLarge = (tensor: TensorProto): boolean => tensor.data_type !== DataType.STRING && tensorSize(tensor) > LARGE_BYTES

/** Turns large `Constant` nodes of the main graph into initializers, which alone may live in another file. Answers how many. */
const liftConstants = (model: ModelProto): number => {
  const graph = mainGraph(model)
  const kept = graph.node.filter((node) => {
    const value = isPlain(node, 'Constant') ? attributeOf(node, 'value')?.t : undefined
    const name = node.output[0]
    // A graph output must come from a node.
    if (!value || !name || !isLarge(value) || graph.output.some((output) => output.name === name)) return true
    graph.initializer.push({ ...value, name })
    return false
  })
  const lifted = graph.node.length - kept.length
  graph.node = kept
  return lifted
}

/** Writes the large initializers to `path`, each from a page boundary on, and makes the model refer to them. */
const moveWeights = (model: ModelProto, path: string): void => {
  const graph = mainGraph(model)
  const fd = openSync(path, 'w')
  let offset = 0
  try {
    graph.initializer = graph.initializer.map((tensor) => {
      if (!isLarge(tensor)) return tensor
      const gap = (PAGE_BYTES - (offset % PAGE_BYTES)) % PAGE_BYTES
      writeAll(fd, new Uint8Array(gap))
      offset += gap
      const size_bytes = copyBytes(tensor, fd)
      const moved = externalTensor(tensor, offset, size_bytes)
      offset += size_bytes
      return moved
    })
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

const copyBytes = (tensor: TensorProto, fd: number): number => {
  const range = tensor.ranges?.raw_data
  if (!range) {
    const bytes = tensorBytes(tensor)
    writeAll(fd, bytes)
    return bytes.length
  }
  if (range.size_bytes !== tensorSize(tensor)) {
    throw new OnnxFault(
      'not_a_model',
      `Tensor "${tensor.name ?? ''}" takes ${tensorSize(tensor)} bytes, but it holds ${range.size_bytes}`,
    )
  }
  eachPiece(range, (piece) => writeAll(fd, piece))
  return range.size_bytes
}

const externalTensor = (tensor: TensorProto, offset: number, size_bytes: number): TensorProto => {
  const { name, dims, data_type, doc_string, metadata_props } = tensor
  const external_data = [
    { key: 'location', value: 'weights.bin' },
    { key: 'offset', value: String(offset) },
    { key: 'length', value: String(size_bytes) },
  ]
  return { name, dims, data_type, doc_string, metadata_props, string_data: [], data_location: EXTERNAL, external_data }
}

/** Without optimisation nothing of the model is computed while loading, so a hostile constant costs nothing here. */
const checkLoads = async (path: string): Promise<void> => {
  const options = { graphOptimizationLevel: 'disabled', intraOpNumThreads: 1, logSeverityLevel: 3 } as const
  try {
    const session = await InferenceSession.create(path, options)
    await session.release()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new OnnxFault('unsupported', `The runtime does not load this model: ${reason.slice(0, 2000)}`)
  }
}

/** A fault of the model by its code, one of the system (a full disk) by its errno. */
const told = (error: unknown) => ({
  ok: false,
  kind: isOnnxFault(error) ? 'model' : 'system',
  code: error instanceof Error && 'code' in error ? String(error.code) : undefined,
  detail: isOnnxFault(error) ? error.detail : error instanceof Error ? error.message : String(error),
})

dieWithParent()
process.on('message', async ({ id, ...request }: FormRequest & { id: number }) => {
  try {
    await checkLoads(write(request))
    process.send?.({ id, ok: true })
  } catch (error) {
    process.send?.({ id, ...told(error) })
  }
})
