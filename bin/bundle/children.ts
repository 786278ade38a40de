import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Plugin } from 'esbuild'

/**
 * Child processes and optimizer modules are started by URL, beside the file that names them, and data is read the same way. In a
 * bundle that file is gone into some chunk, so each becomes an entry of its own, `children/<name>.mjs` or `data/<name>.json`, and the
 * URLs are made to point there.
 */

const layers = join(import.meta.dirname, '../../layers')
/** `new URL('./child.ts', import.meta.url)`, and `module: import.meta.url` for an optimizer that names itself. */
const beside = /new URL\('(\.\/[\w-]+\.(?:ts|json))', import\.meta\.url\)/g
const itself = /\bmodule: import\.meta\.url\b/g

const nameOf = (file: string): string => {
  const name = relative(layers, file)
    .replace(/\.\w+$/, '')
    .replaceAll('/', '-')
  return file.endsWith('.json') ? `data/${name}` : `children/${name}`
}
const addressOf = (file: string): string => `new URL('${nameOf(file)}${file.endsWith('.json') ? '.json' : '.mjs'}', bundle_root)`

/** Files that `text`, the source of `file`, starts or reads by URL. */
const named = (file: string, text: string): string[] => [
  ...[...text.matchAll(beside)].map(([, path = '']) => resolve(file, '..', path)),
  ...(text.match(itself) ? [file] : []),
]

/** The same source for a bundle; `bundle_root` is the folder of the bundle, as `rootBanner` finds it. */
export const pointedAtChildren = (file: string, text: string): string =>
  text
    .replace(beside, (_, path: string) => addressOf(resolve(file, '..', path)))
    .replace(itself, `module: ${addressOf(file)}.href`)

/** Entry points for all that the sources of layers name by URL: of those in `only`, else of all but those in `skip`. */
export const childEntries = ({
  only,
  skip = [],
}: {
  only?: readonly string[]
  skip?: readonly string[]
} = {}): {
  in: string
  out: string
}[] => {
  const wanted = (file: string): boolean => {
    const layer = file.split('/')[0] ?? ''
    return file.endsWith('.ts') && (only === undefined ? !skip.includes(layer) : only.includes(layer))
  }
  const files = readdirSync(layers, { recursive: true, encoding: 'utf8' }).filter(wanted)
  const entries = new Set(files.flatMap((file) => named(join(layers, file), readFileSync(join(layers, file), 'utf8'))))
  return [...entries].sort().map((file) => ({ in: file, out: nameOf(file) }))
}

/** Entries lie in the bundle's folder, chunks and children one below. */
export const rootBanner = `const bundle_root=new URL(/\\/(chunks|children)\\/[^/]+$/.test(import.meta.url)?'..':'.',import.meta.url);`

export const children: Plugin = {
  name: 'children',
  setup(plugin) {
    plugin.onLoad({ filter: /\/layers\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      return named(path, text).length > 0 ? { contents: pointedAtChildren(path, text), loader: 'ts' } : undefined
    })
    plugin.onLoad({ filter: /\/layers\/.*\.json$/ }, ({ path }) => ({ contents: readFileSync(path), loader: 'copy' }))
  },
}
