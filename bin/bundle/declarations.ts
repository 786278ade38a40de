import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'

const root = join(import.meta.dirname, '../..')
const compiler = join(root, 'node_modules/.bin/tsc')
const specifier = /(from |import\()(['"])(\.{1,2}\/[^'"]+)\.ts\2/g

/** The types of one source file and of those it names, and no others, below `outdir`, as they stand below the project. */
export function writeDeclarations(entry: string, outdir: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'declarations-'))
  try {
    const options = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: folder, rootDir: root }
    const types = { typeRoots: [join(root, 'node_modules/@types')] }
    const project = {
      extends: join(root, 'tsconfig.json'),
      include: [],
      files: [entry],
      compilerOptions: { ...options, ...types },
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project))
    const { status, stdout, error } = spawnSync(compiler, ['-p', folder], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`The types could not be written: ${error?.message ?? stdout}`)
    copyReachable(join(folder, relative(root, entry)).replace(/\.ts$/, '.d.ts'), folder, outdir)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Specifiers end in `.js`, which every setting of TypeScript takes; `.ts` wants one of its own. */
function copyReachable(entry: string, from: string, to: string): void {
  const seen = new Set([entry])
  for (const file of seen) {
    const text = readFileSync(file, 'utf8')
    for (const [, , , path = ''] of text.matchAll(specifier)) seen.add(`${resolve(dirname(file), path)}.d.ts`)
    const target = join(to, relative(from, file))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, text.replace(specifier, '$1$2$3.js$2'))
  }
}
