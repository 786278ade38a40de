import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildFunctions, buildRuntime } from '../../bin/build.ts'
import { buildLayer } from '../../layers/onnxruntime/build-layer.ts'

export interface Bundles {
  /** As `npm run build` fills it: the functions, `runtime/`, and the layers' folders. */
  folder: string
  remove(): Promise<void>
}

/** What `cdk deploy` would publish, built for this machine, far from the project's own `node_modules`. */
export const buildBundles = async (): Promise<Bundles> => {
  const root = await mkdtemp(join(tmpdir(), 'aideploy-cloud-'))
  const folder = join(root, 'task')
  const layer = join(root, 'opt', 'nodejs/')
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'
  await Promise.all([
    buildFunctions(folder, { layer }),
    buildRuntime(join(folder, 'runtime'), { layer }),
    buildLayer(join(root, 'opt'), architecture),
  ])
  // The stacks publish both; here the functions find the one of this machine where the other path leads.
  for (const name of ['layer-arm64', 'layer-x64']) {
    await mkdir(join(folder, name), { recursive: true })
    await cp(
      join(root, 'opt', 'nodejs', 'node_modules', 'onnxruntime-common', 'package.json'),
      join(folder, name, 'package.json'),
    )
  }
  return { folder, remove: () => rm(root, { recursive: true, force: true }) }
}
