import { cp, link, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'
import { ensureLayer } from '../layers/onnxruntime/build-layer.ts'
import { units } from '../lib/units.ts'
import { childEntries, children, rootBanner } from './bundle/children.ts'
import { unitEntries } from './bundle/entries.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

const nativeRuntime: Plugin = {
  name: 'native-runtime',
  setup(plugin) {
    const path = join(root, 'layers/onnxruntime/runtime-module.ts')
    plugin.onResolve({ filter: /^onnxruntime-node$/ }, () => ({ path }))
  },
}

export interface BundleChoice {
  /** Folder above the layer's `node_modules`, with a `/` at its end. */
  layer?: string
  /** Further entries beside the units', e.g. a test's. */
  also?: { in: string; out: string }[]
}

const bundle = async (entryPoints: BuildOptions['entryPoints'], outdir: string, { layer = '/opt/nodejs/' }: BundleChoice) => {
  const { metafile } = await build({
    absWorkingDir: root,
    ...(entryPoints && { entryPoints }),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // The AWS SDK's CommonJS form would give a dynamic import no named exports, and cannot be tree-shaken.
    mainFields: ['module', 'main'],
    minify: true,
    sourcemap: false,
    metafile: true,
    chunkNames: 'chunks/[hash]',
    outExtension: { '.js': '.mjs' },
    external: ['esbuild'],
    define: { ONNXRUNTIME_LAYER: JSON.stringify(layer) },
    banner: {
      js: `import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);${rootBanner}`,
    },
    logLevel: 'warning',
    plugins: [unitEntries, children, nativeRuntime],
  })
  return metafile
}

/** Bundles every function of the control plane in one esbuild run with shared chunks (ESM); `#app` resolves to the AWS composition. */
export const buildFunctions = (outdir = dist, choice: BundleChoice = {}): Promise<Metafile> =>
  bundle(
    [
      ...units.map(({ name }) => ({ in: `unit:${name}`, out: name })),
      ...childEntries({ skip: ['serving'] }),
      ...(choice.also ?? []),
    ],
    outdir,
    choice,
  )

/** The function that serves one model: a folder of its own, because every deployment gets a copy of it. */
export const buildRuntime = (outdir = join(dist, 'runtime'), choice: BundleChoice = {}): Promise<Metafile> =>
  bundle(
    [{ in: join(root, 'functions/runtime/handler.ts'), out: 'handler' }, ...childEntries({ only: ['serving', 'pricing'] })],
    outdir,
    choice,
  )

/**
 * What a processing job runs, as one folder: the script it begins with, the order's bundle with its children, the runtime's module beside
 * it, and this very Node. Left out, with `false`, where this Node is not for Linux on x64, which the jobs' instances are.
 */
export const buildProcessing = async (outdir = join(dist, 'processing'), layer = join(dist, 'layer-x64')): Promise<boolean> => {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false
  const entry = { in: join(root, 'layers/processing/run-order.ts'), out: 'run-order' }
  await bundle([entry, ...childEntries({ only: ['optimizers', 'onnx'] })], outdir, {})
  await cp(join(root, 'layers/processing/entry.sh'), join(outdir, 'entry.sh'))
  await cp(join(layer, 'nodejs/node_modules'), join(outdir, 'node_modules'), { recursive: true })
  // 120 MB that never change: a second name for them where the disk allows it.
  await rm(join(outdir, 'node'), { force: true })
  await link(process.execPath, join(outdir, 'node')).catch(() => cp(process.execPath, join(outdir, 'node')))
  return true
}

/** Everything `cdk deploy` publishes. What an earlier build left is removed; layers are made again only when their package changed. */
export const buildAll = async (): Promise<void> => {
  const kept = /^layer-/
  for (const stale of await readdir(dist).catch(() => []))
    if (!kept.test(stale)) await rm(join(dist, stale), { recursive: true, force: true })
  await Promise.all([
    buildFunctions(),
    buildRuntime(),
    ...(['arm64', 'x64'] as const).map((architecture) => ensureLayer(join(dist, `layer-${architecture}`), architecture)),
  ])
  if (!(await buildProcessing())) console.warn('Left out: large work in processing jobs, which needs a build on Linux x64')
}

if (import.meta.main) await buildAll()
