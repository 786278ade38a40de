import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { PlatformError } from '../../core/contract/errors.ts'
import { ModelManifest } from '../../core/contract/model-function.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { filesPrefix, revisionPrefix } from './names.ts'
import type { LambdaParts, RemovalParts } from './parts.ts'

export interface Served {
  manifest_key: string
  manifest_sha256: string
  size_bytes: number
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * The revision's model in its serving form below `deployments/<id>/<revision>/`, made once. The manifest goes last: where it is, everything
 * it names is. Fails with `invalid_model` when the compiler refuses the model, `storage_full` when this machine's disk does.
 */
export const ensureServingFiles = async (parts: LambdaParts, target: DeployTarget): Promise<Served> => {
  const { deployment, model } = target
  const manifest_key = `${revisionPrefix(deployment.id, deployment.revision)}manifest.json`
  const known = await readManifest(parts, manifest_key)
  if (known && known.manifest.model_sha256 === model.sha256 && known.manifest.name === deployment.name)
    return { manifest_key, manifest_sha256: known.sha256, size_bytes: sizeOf(known.manifest) }
  const manifest: ModelManifest = {
    organization_id: deployment.organization_id,
    deployment_id: deployment.id,
    deployment_type: deployment.deployment_type,
    revision: deployment.revision,
    name: deployment.name,
    model_sha256: model.sha256,
    files: await storeFiles(parts, target),
  }
  const { sha256: manifest_sha256 } = await parts.artifacts.put(manifest_key, once(Buffer.from(JSON.stringify(manifest))))
  return { manifest_key, manifest_sha256, size_bytes: sizeOf(manifest) }
}

const once = (bytes: Uint8Array): Readable => Readable.from([bytes])
const sizeOf = ({ files }: ModelManifest): number => files.reduce((sum, { size_bytes }) => sum + size_bytes, 0)

const readManifest = async ({ artifacts }: LambdaParts, key: string) => {
  if ((await artifacts.stat(key)) === undefined) return undefined
  const bytes = await buffer(await artifacts.read(key))
  const parsed = ModelManifest.safeParse(JSON.parse(bytes.toString()))
  return parsed.success ? { manifest: parsed.data, sha256: sha256(bytes) } : undefined
}

const storeFiles = async (parts: LambdaParts, { deployment, model }: DeployTarget): Promise<ModelManifest['files']> => {
  await mkdir(parts.scratch_dir, { recursive: true })
  const folder = await mkdtemp(join(parts.scratch_dir, 'serving-form-'))
  const source = await parts.artifacts.asFile(model.artifact)
  try {
    const { files } = await parts.writeServingForm(source.path, folder)
    const stored: ModelManifest['files'] = []
    for (const file of files) {
      const name = basename(file)
      const key = revisionPrefix(deployment.id, deployment.revision) + name
      stored.push({ name, key, ...(await parts.artifacts.put(key, createReadStream(join(folder, name)))) })
    }
    return stored
  } catch (error) {
    throw preparationFault(error)
  } finally {
    await source.release()
    await rm(folder, { recursive: true, force: true })
  }
}

/** The compiler's faults are the model's; everything else is this machine's. */
const preparationFault = (error: unknown): unknown => {
  if (!(error instanceof Error) || error instanceof PlatformError) return error
  if (error.name === 'OnnxFault') return new PlatformError('invalid_model', error.message, { cause: error })
  const full = 'code' in error && error.code === 'ENOSPC'
  return full ? new PlatformError('storage_full', 'No room to write the model in its serving form', { cause: error }) : error
}

type Shelf = Pick<RemovalParts, 'artifacts'>

/** Removes the files of revisions before `first_kept` that are not in `kept`; a later one may be in the making. */
export const removeOldFiles = async (parts: Shelf, deployment_id: string, newest: number, kept: Set<number>): Promise<void> => {
  const prefix = filesPrefix(deployment_id)
  for (const key of await parts.artifacts.list(prefix)) {
    const revision = Number.parseInt(key.slice(prefix.length), 10)
    if (revision < newest && !kept.has(revision)) await parts.artifacts.remove(key)
  }
}

/** Of one revision, or of all. The manifest goes first, so that a half removed form is never taken for a whole one. */
export const removeFiles = async (parts: Shelf, deployment_id: string, revision?: number): Promise<void> => {
  const prefix = revision === undefined ? filesPrefix(deployment_id) : revisionPrefix(deployment_id, revision)
  const keys = await parts.artifacts.list(prefix)
  const first = keys.filter((key) => key.endsWith('/manifest.json'))
  for (const key of [...first, ...keys.filter((one) => !first.includes(one))]) await parts.artifacts.remove(key)
}
