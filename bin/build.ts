import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { type Unit, units } from '../lib/units.ts'

const root = join(import.meta.dirname, '..')

/** The few lines that bind a unit's files to its entry; made here because every word of them stands in the tables. */
const entryText = (unit: Unit): string => {
  const path = (file: string): string => JSON.stringify(join(root, 'functions', `${file}.ts`))
  if (unit.kind === 'step' || unit.kind === 'schedule') {
    const wrap = `${unit.kind}Handler`
    return `import { ${wrap} } from ${path(`entry/${unit.kind}`)}\nimport { run } from ${path(unit.files[0] ?? '')}\nexport const handler = ${wrap}(${unit.kind === 'schedule' ? `${JSON.stringify(unit.name.slice(9))}, ` : ''}run)`
  }
  const [wrap, file] = unit.kind === 'stream' ? ['dispatchStream', 'dispatch-stream'] : ['dispatch', 'dispatch']
  const imports = unit.files.map((name, at) => `import { handler as h${at} } from ${path(name)}`)
  return `import { ${wrap} } from ${path(`entry/${file}`)}\n${imports.join('\n')}\nexport const handler = ${wrap}([${unit.files.map((_, at) => `h${at}`).join(', ')}])`
}

const entries: Plugin = {
  name: 'entries',
  setup(plugin) {
    plugin.onResolve({ filter: /^unit:/ }, ({ path }) => ({ path: path.slice(5), namespace: 'unit' }))
    plugin.onLoad({ filter: /.*/, namespace: 'unit' }, ({ path }) => {
      const unit = units.find(({ name }) => name === path)
      return unit && { contents: entryText(unit), loader: 'ts', resolveDir: root }
    })
  },
}

/** Bundles every function in one esbuild run with shared chunks (ESM); `#app` resolves to the AWS composition. */
export const buildFunctions = async (outdir = join(root, 'dist')): Promise<void> => {
  await build({
    absWorkingDir: root,
    entryPoints: units.map(({ name }) => ({ in: `unit:${name}`, out: name })),
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
    chunkNames: 'chunks/[hash]',
    outExtension: { '.js': '.mjs' },
    external: ['onnxruntime-node', 'esbuild'],
    banner: { js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);" },
    logLevel: 'warning',
    plugins: [entries],
  })
}

if (import.meta.main) await buildFunctions()
