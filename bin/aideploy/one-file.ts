import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { attachExternalData } from '../../layers/onnx/codec/external-data.ts'
import { readModelFile } from '../../layers/onnx/codec/read-model.ts'
import { isExternal } from '../../layers/onnx/codec/tensor-values.ts'
import { writeModelFile } from '../../layers/onnx/codec/write-model.ts'
import { recognise } from '../../layers/onnx/formats/recognise.ts'
import { walkTensors } from '../../layers/onnx/graph/walk.ts'
import { removeScratch, scratchFolder } from '../../layers/optimizers/scratch.ts'
import { sizeOfFile } from '../../layers/optimizers/search-files.ts'

/**
 * Runs `work` with models that hold everything in one file: where weights lie in files beside a model, with a joined copy of the same
 * name in a folder of its own, which goes afterwards.
 * Fails with `invalid_request` when a file cannot be read; OnnxFault when it is broken, names files outside its folder, or is 2 GiB
 * or more when joined.
 */
export async function withOneFile<Answer>(
  paths: readonly string[],
  work: (joined: string[]) => Promise<Answer>,
): Promise<Answer> {
  for (const path of paths) await sizeOfFile(path, 'Model')
  const scattered = paths.map(scatteredModel)
  if (scattered.every((model) => model === undefined)) return await work([...paths])
  const folder = await scratchFolder(join(tmpdir(), `aideploy-join-${process.getuid?.() ?? 'user'}`))
  try {
    const joined = paths.map((path, at) => {
      const model = scattered[at]
      if (!model) return path
      const copy = join(folder, `${at}-${basename(path)}`)
      attachExternalData(model, dirname(resolve(path)))
      writeModelFile(model, copy)
      return copy
    })
    return await work(joined)
  } finally {
    await removeScratch(folder)
  }
}

/** The model, its weights still in the files, when some of them lie beside it. */
const scatteredModel = (path: string) => {
  if (recognise(path).format !== 'onnx') return undefined
  const model = readModelFile(path)
  return [...walkTensors(model)].some(isExternal) ? model : undefined
}
