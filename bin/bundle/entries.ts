import { join } from 'node:path'
import type { Plugin } from 'esbuild'
import { type Unit, units } from '../../lib/units.ts'

const root = join(import.meta.dirname, '../..')

/** The few lines that bind a unit's files to its entry; made here because every word of them stands in the tables. */
const entryText = (unit: Unit): string => {
  const path = (file: string): string => JSON.stringify(join(root, 'functions', `${file}.ts`))
  const first = path(unit.files[0] ?? '')
  if (unit.kind === 'plain') return `export { handler } from ${first}`
  if (unit.kind === 'step' || unit.kind === 'schedule') {
    const wrap = `${unit.kind}Handler`
    const id = unit.kind === 'schedule' ? `${JSON.stringify(unit.name.slice(9))}, ` : ''
    return `import { ${wrap} } from ${path(`entry/${unit.kind}`)}\nimport { run } from ${first}\nexport const handler = ${wrap}(${id}run)`
  }
  if (unit.kind === 'subscriber')
    return `import { subscriberHandler } from ${path('entry/subscriber')}\nimport { run } from ${first}\nexport const handler = subscriberHandler(${JSON.stringify(unit.name.replace('deliver-', ''))}, run)`
  const [wrap, file] = unit.kind === 'stream' ? ['dispatchStream', 'dispatch-stream'] : ['dispatch', 'dispatch']
  const imports = unit.files.map((name, at) => `import { handler as h${at} } from ${path(name)}`)
  return `import { ${wrap} } from ${path(`entry/${file}`)}\n${imports.join('\n')}\nexport const handler = ${wrap}([${unit.files.map((_, at) => `h${at}`).join(', ')}])`
}

/** Resolves `unit:<name>` to the text that binds a unit's files together. */
export const unitEntries: Plugin = {
  name: 'entries',
  setup(plugin) {
    plugin.onResolve({ filter: /^unit:/ }, ({ path }) => ({ path: path.slice(5), namespace: 'unit' }))
    plugin.onLoad({ filter: /.*/, namespace: 'unit' }, ({ path }) => {
      const unit = units.find(({ name }) => name === path)
      return unit && { contents: entryText(unit), loader: 'ts', resolveDir: root }
    })
  },
}
