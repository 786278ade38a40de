import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import * as z from 'zod'

/**
 * The one published Lambda Layer: onnxruntime-node pruned to one platform, as `nodejs/node_modules/…`, which Lambda mounts at `/opt`.
 * The npm package carries five platforms, 288 MB, more than Lambda takes; one of them is 25 MB (arm64) or 45 MB (x64).
 */

export type LambdaArchitecture = 'arm64' | 'x64'

const require = createRequire(import.meta.url)
const packageFolder = (name: string): string => join(dirname(require.resolve(name)), '..')
const Manifest = z.looseObject({ version: z.string(), main: z.string() })

/** Fills `outdir` (emptied first) with the layer's content. Fails when the npm package has no binaries for the platform. */
export const buildLayer = async (outdir: string, architecture: LambdaArchitecture): Promise<void> => {
  await rm(outdir, { recursive: true, force: true })
  const modules = join(outdir, 'nodejs', 'node_modules')
  const runtime = packageFolder('onnxruntime-node')
  const target = join(modules, 'onnxruntime-node')
  const binaries = join('bin', 'napi-v6', 'linux', architecture)
  await mkdir(target, { recursive: true })
  await cp(join(runtime, binaries), join(target, binaries), { recursive: true, dereference: true })
  await copyScripts(join(runtime, 'dist'), join(target, 'dist'))
  await writeManifest(runtime, target)
  const common = join(dirname(require.resolve('onnxruntime-common')), '..', '..')
  await copyScripts(join(common, 'dist', 'cjs'), join(modules, 'onnxruntime-common', 'dist', 'cjs'))
  await writeManifest(common, join(modules, 'onnxruntime-common'))
}

const recipe = 1
const packageVersion = async (name: string): Promise<string> =>
  Manifest.parse(JSON.parse(await readFile(join(packageFolder(name), 'package.json'), 'utf8'))).version

/** As `buildLayer`, unless the folder holds the same already. A build that was cut short is never taken for a whole one. */
export const ensureLayer = async (outdir: string, architecture: LambdaArchitecture): Promise<void> => {
  const wanted = `onnxruntime-node ${await packageVersion('onnxruntime-node')} linux ${architecture}, recipe ${recipe}\n`
  const told = join(outdir, 'nodejs', 'built-from.txt')
  if ((await readFile(told, 'utf8').catch(() => undefined)) === wanted) return
  const unfinished = `${outdir}.${process.pid}`
  try {
    await buildLayer(unfinished, architecture)
    await writeFile(join(unfinished, 'nodejs', 'built-from.txt'), wanted)
    await rm(outdir, { recursive: true, force: true })
    await rename(unfinished, outdir)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** JavaScript and the manifests that say which kind it is; no maps, no types. */
const copyScripts = async (from: string, to: string): Promise<void> => {
  await mkdir(to, { recursive: true })
  for (const name of await readdir(from, { recursive: true }))
    if (/\.js$|package\.json$/.test(name)) await cp(join(from, name), join(to, name))
}

/** Only what resolution needs: the install script would download CUDA, its dependencies are for that script alone. */
const writeManifest = async (from: string, to: string): Promise<void> => {
  const { version, main } = Manifest.parse(JSON.parse(await readFile(join(from, 'package.json'), 'utf8')))
  await writeFile(join(to, 'package.json'), `${JSON.stringify({ name: to.split('/').at(-1), version, main })}\n`)
}
