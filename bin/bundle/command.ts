import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { childEntries, children, rootBanner } from './children.ts'
import { writeDeclarations } from './declarations.ts'

const root = join(import.meta.dirname, '../..')

/**
 * The command line and the library as JavaScript that needs nothing but `onnxruntime-node`: `aideploy.mjs`, `optimize.mjs`, and the
 * processes and optimizers they start, each an entry of its own. For the oldest Node that the package admits.
 */
export const buildCommand = async (outdir = join(root, 'dist/command')): Promise<void> => {
  await rm(outdir, { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    entryPoints: [
      { in: join(root, 'bin/aideploy.ts'), out: 'aideploy' },
      { in: join(root, 'bin/aideploy/library.ts'), out: 'optimize' },
      ...childEntries({ only: ['onnx', 'optimizers', 'inspector', 'pricing'] }),
    ],
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    minify: true,
    keepNames: true,
    chunkNames: 'chunks/[hash]',
    outExtension: { '.js': '.mjs' },
    external: ['onnxruntime-node'],
    banner: { js: rootBanner },
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [children],
  })
}

if (import.meta.main) {
  await buildCommand()
  writeDeclarations(join(root, 'bin/aideploy/library.ts'), join(root, 'dist/command/types'))
}
