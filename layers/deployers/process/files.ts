import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import * as z from 'zod'
import { PlatformError } from '../../core/contract/errors.ts'
import type { Artifacts } from '../../core/ports/artifacts.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import type { WriteServingForm } from './instance.ts'

const Ready = z.object({ model_path: z.string(), sha256: z.string() })

export interface ServingFiles {
  /** The model of this revision in its serving form, written if it is not there. */
  prepare(target: DeployTarget): Promise<string>
  /** Removes every revision of a deployment but this one. */
  /** Removes what earlier revisions left; a later one may be in the making. */
  removeBefore(deployment_id: string, revision: number): Promise<void>
  removeAll(deployment_id: string): Promise<void>
}

/** The compiler's faults are the model's; everything else is this machine's. */
const preparationFault = (error: unknown): unknown => {
  if (!(error instanceof Error) || error instanceof PlatformError) return error
  if (error.name === 'OnnxFault') return new PlatformError('invalid_model', error.message, { cause: error })
  const full = 'code' in error && error.code === 'ENOSPC'
  return full ? new PlatformError('storage_full', 'No room to write the model in its serving form', { cause: error }) : error
}

/** `<root>/<deployment id>/<revision>/`: the serving form of one revision. All of it can be made again from the artifact. */
export const servingFiles = (
  root: string,
  artifacts: Pick<Artifacts, 'asFile'>,
  writeServingForm: WriteServingForm,
): ServingFiles => {
  const folderOf = (deployment_id: string, revision: number): string => join(root, deployment_id, String(revision))

  const known = async (folder: string, sha256: string): Promise<string | undefined> => {
    if (!existsSync(join(folder, 'ready.json'))) return undefined
    const ready = Ready.safeParse(JSON.parse(await readFile(join(folder, 'ready.json'), 'utf8')))
    if (!ready.success || ready.data.sha256 !== sha256) return undefined
    const path = join(folder, ready.data.model_path)
    return existsSync(path) ? path : undefined
  }

  return {
    prepare: async ({ deployment, model }) => {
      const folder = folderOf(deployment.id, deployment.revision)
      const present = await known(folder, model.sha256)
      if (present !== undefined) return present
      const making = `${folder}.making-${process.pid}`
      await rm(making, { recursive: true, force: true })
      await mkdir(making, { recursive: true })
      const source = await artifacts.asFile(model.artifact)
      try {
        const { model_path } = await writeServingForm(source.path, making)
        const name = relative(making, model_path)
        await writeFile(join(making, 'ready.json'), JSON.stringify({ model_path: name, sha256: model.sha256 }))
        await rm(folder, { recursive: true, force: true })
        await rename(making, folder)
        return join(folder, name)
      } catch (error) {
        await rm(making, { recursive: true, force: true })
        throw preparationFault(error)
      } finally {
        await source.release()
      }
    },
    removeBefore: async (deployment_id, revision) => {
      const names = await readdir(join(root, deployment_id)).catch(() => [])
      for (const name of names)
        if (Number.parseInt(name, 10) < revision) await rm(join(root, deployment_id, name), { recursive: true, force: true })
    },
    removeAll: (deployment_id) => rm(join(root, deployment_id), { recursive: true, force: true }),
  }
}
