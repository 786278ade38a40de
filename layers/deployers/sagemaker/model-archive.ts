import { open, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { type TarSource, tarArchive, tarEntries } from '../../archive/tar.ts'
import { zipSources } from '../../archive/zip.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import type { ImageKind } from './images.ts'
import { archiveKey } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { pytorchHandler } from './pytorch-handler.ts'
import { TRITON_MODEL, tritonConfig } from './triton-config.ts'

/** How a model is served: by which image, told what by its environment. */
export interface Serving {
  image: Exclude<ImageKind, 'processing'>
  environment: Record<string, string>
}

export const servingOf = ({ framework, inspection }: DeployTarget['model']): Serving => {
  if (framework === 'pytorch') {
    if (inspection !== null && inspection.format !== 'torchscript') throw notTorchscript(inspection.format)
    const environment = { SAGEMAKER_PROGRAM: 'inference.py', SAGEMAKER_SUBMIT_DIRECTORY: '/opt/ml/model/code' }
    return { image: 'pytorch', environment }
  }
  if (framework === 'tensorflow') return { image: 'tensorflow', environment: {} }
  return { image: 'triton', environment: { SAGEMAKER_TRITON_DEFAULT_MODEL_NAME: TRITON_MODEL } }
}

const notTorchscript = (format: string): PlatformError =>
  new PlatformError(
    'framework_unsupported',
    `The file is ${format}; wanted TorchScript, which holds the network and not only weights: torch.jit.trace(model, example).save("model.pt") writes it`,
  )

/**
 * `deployments/<id>/<revision>/model.tar.gz`: the model in the layout its image wants, packed as it streams by. A revision's file never
 * changes, so one that is there is not made again.
 */
export const ensureArchive = async (
  { artifacts }: Pick<SagemakerParts, 'artifacts'>,
  target: DeployTarget,
  plan: { gpu: boolean; threads: number },
): Promise<string> => {
  const { deployment, model } = target
  const key = archiveKey(deployment.id, deployment.revision)
  if ((await artifacts.stat(key)) !== undefined) return key
  const { image } = servingOf(model)
  const file = await artifacts.asFile(model.artifact)
  try {
    const sources = await layout[image](file.path, target, plan)
    // Weights hardly shrink: the fastest level.
    await artifacts.put(key, Readable.from(tarArchive(sources)).pipe(createGzip({ level: 1 })))
    return key
  } finally {
    await file.release()
  }
}

type Layout = (path: string, target: DeployTarget, plan: { gpu: boolean; threads: number }) => Promise<TarSource[]>
const whole = async (path: string, file: string): Promise<TarSource> => ({ path, file, size_bytes: (await stat(file)).size })

const layout: Record<Serving['image'], Layout> = {
  triton: async (path, { model }, plan) => [
    { path: `${TRITON_MODEL}/config.pbtxt`, bytes: Buffer.from(tritonConfig(model.inspection, plan)) },
    await whole(`${TRITON_MODEL}/1/model.onnx`, path),
  ],
  pytorch: async (path) => [await whole('model.pt', path), { path: 'code/inference.py', bytes: Buffer.from(pytorchHandler) }],
  tensorflow: async (path) => savedModel(path),
}

/** A SavedModel as version 1, whether it came as its bare `saved_model.pb`, as a zip or as a tar archive, at whatever depth. */
const savedModel = async (path: string): Promise<TarSource[]> => {
  const entries = await entriesOf(path)
  if (entries === undefined) return [await whole('1/saved_model.pb', path)]
  const graph = entries.find((entry) => /(^|\/)saved_model\.pb$/.test(entry.path))
  if (graph === undefined)
    throw new PlatformError('framework_unsupported', 'The archive has no saved_model.pb; wanted a TensorFlow SavedModel')
  const root = graph.path.slice(0, -'saved_model.pb'.length)
  return entries
    .filter((entry) => entry.path.startsWith(root) && !entry.path.endsWith('/'))
    .map((entry) => ({ ...entry, path: `1/${entry.path.slice(root.length)}` }))
}

const entriesOf = async (path: string): Promise<TarSource[] | undefined> => {
  const file = await open(path)
  try {
    const { buffer: head } = await file.read(Buffer.alloc(512), 0, 512, 0)
    if (head.toString('latin1', 0, 4) === 'PK\x03\x04') return await zipSources(file, path)
    if (head.toString('latin1', 257, 262) !== 'ustar') return undefined
    const entries: TarSource[] = []
    for await (const { path: name, start, size_bytes } of tarEntries(file))
      entries.push({ path: name, file: path, start, size_bytes })
    return entries
  } finally {
    await file.close()
  }
}
