import { spawn } from 'node:child_process'
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DataType, EXTERNAL } from './codec/data-types.ts'
import { readModelFile } from './codec/read-model.ts'
import type { ModelProto, TensorProto } from './codec/schema.ts'
import { eachPiece, writeAll } from './codec/sink.ts'
import { isExternal, tensorBytes, tensorSize } from './codec/tensor-values.ts'
import { writeModelFile } from './codec/write-model.ts'
import { OnnxFault } from './fault.ts'
import { attributeOf } from './graph/attributes.ts'
import { isPlain } from './graph/index-graph.ts'
import { settleIrVersion } from './graph/opsets.ts'
import { mainGraph, walkTensors } from './graph/walk.ts'

/** Weights larger than this leave the graph; smaller ones (shapes, axes) must stay, because the runtime reads them while loading. */
const LARGE_BYTES = 1024
/** Page size: the runtime maps a weight into memory instead of copying it when it starts on a page. */
const PAGE_BYTES = 4096
const CHECK_LIMIT_MS = 120_000

export interface ServingForm {
  /** The graph; its weights lie beside it. */
  model_path: string
  /** Everything that was written, absolute or relative as `out_dir` is. */
  files: string[]
}

/**
 * Copies a model into `out_dir` as `model.onnx` with its large weights page-aligned in `weights.bin`, so that the runtime maps them
 * (loading 80 MB: about 27 ms instead of 267) and instances share them. Memory stays constant: weights go from file to file.
 * The result has been loaded once, in a process of its own.
 *
 * @throws OnnxFault external_data_missing for a model whose weights are elsewhere; unsupported when the runtime refuses the model;
 *   what `readModelFile` throws
 */
export const writeServingForm = async (model_path: string, out_dir: string): Promise<ServingForm> => {
  const model = readModelFile(model_path)
  refuseExternal(model)
  mkdirSync(out_dir, { recursive: true })
  const form = { model_path: join(out_dir, 'model.onnx'), files: [join(out_dir, 'model.onnx'), join(out_dir, 'weights.bin')] }
  try {
    if (liftConstants(model) > 0) settleIrVersion(model)
    moveWeights(model, join(out_dir, 'weights.bin'))
    writeModelFile(model, form.model_path, { flush: true })
    await checkLoads(form.model_path)
    return form
  } catch (error) {
    for (const file of form.files) rmSync(file, { force: true })
    throw error
  }
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

/** Loads the model in a child process: a hostile one can neither stall nor crash the caller. */
const checkLoads = (model_path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const script = fileURLToPath(new URL('./load-check.ts', import.meta.url))
    const child = spawn(process.execPath, [script, model_path], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: CHECK_LIMIT_MS,
      killSignal: 'SIGKILL',
      env: {},
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      if (said.length < 4000) said += chunk.toString('utf8')
    })
    child.on('error', reject)
    child.on('close', (status, signal) => {
      if (status === 0) return resolve()
      const reason = said.trim().slice(0, 2000) || (signal ? `it was ended by ${signal}` : `status ${status}`)
      reject(new OnnxFault('unsupported', `The runtime does not load this model: ${reason}`))
    })
  })
