/**
 * The proof of the model compiler: real and synthetic models through our search and through ONNX Runtime's own tools, on the same
 * machine, rows and judge. `node bench/optimize.ts [--only rec,mlp] [--quick] [--no-peers]`: tables on stdout, progress on stderr;
 * `bench/.cache/optimize/` gets results.json, .md and .svg (results-part.* of some). The first run makes models and data, minutes more.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { table } from '../examples/demo/table.ts'
import { int8Support } from '../layers/onnx/probe/isa.ts'
import { goalsOf, judgeMiniLm } from './optimize/goals.ts'
import { judgeIn } from './optimize/judge.ts'
import { runLarge } from './optimize/large.ts'
import { pythonTools } from './optimize/peers.ts'
import { recipes } from './optimize/recipes.ts'
import { goalLines, goalRows, markdown, peerRows, picture, tableRows } from './optimize/report.ts'
import { type Bench, runSubject, type SubjectResult } from './optimize/run-subject.ts'
import { prepare } from './optimize/subjects/subject.ts'
import { timeTrainingSteps } from './optimize/training-step.ts'

const QUICK = ['alexa', 'mlp', 'minilm-16']
const QUICK_BUDGET_S = 15

const { values } = parseArgs({
  options: { only: { type: 'string' }, quick: { type: 'boolean' }, 'no-peers': { type: 'boolean' } },
})
const known = recipes.map(({ name }) => name)
const wanted = values.only?.split(',') ?? (values.quick ? QUICK : known)
const unknown = wanted.filter((name) => name !== 'large' && name !== 'training' && !known.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`Unknown: ${unknown.join(', ')}; wanted some of ${[...known, 'large', 'training'].join(', ')}\n`)
  process.exit(2)
}
const extra = (name: string): boolean => (values.only === undefined ? !values.quick : wanted.includes(name))

const root = resolve(import.meta.dirname, '.cache')
const cache = join(root, 'optimize')
mkdirSync(cache, { recursive: true })
const started = performance.now()
const tell = (line: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s ${line.slice(0, 220)}\n`)
}

const python = values['no-peers'] ? 'left out' : await pythonTools(root)
const { version: ort } = JSON.parse(readFileSync(resolve('node_modules/onnxruntime-node/package.json'), 'utf8')) as {
  version: string
}
const header = [
  `${cpus()[0]?.model.trim()}, ${cpus().length} CPUs, int8 by ${int8Support()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
  `Node ${process.versions.node}, onnxruntime-node ${ort}, one thread a model`,
  typeof python === 'string' ? `peers left out: ${python}` : `peers: ${python.versions}`,
]
console.log(header.join('\n'))

const bench: Bench = {
  cache,
  judge: judgeIn(join(cache, 'scratch')),
  python: typeof python === 'string' ? undefined : python,
  judge_ms: values.quick ? 1000 : 2000,
  proof_ms: values.quick ? 5000 : 120_000,
  rest_ms: values.quick ? 8000 : 20_000,
  budget_s: ({ budget_s }) => (values.quick ? Math.min(budget_s, QUICK_BUDGET_S) : budget_s),
  tell,
  made: new Map(),
}

const results: SubjectResult[] = []
const failures: string[] = []
for (const recipe of recipes.filter(({ name }) => wanted.includes(name))) {
  tell(recipe.name)
  try {
    const subject = await prepare(recipe, join(cache, 'subjects'))
    if (typeof subject === 'string') tell(`  left out: ${subject}`)
    else results.push(await runSubject(bench, subject))
  } catch (error) {
    // The others' figures are worth having all the same.
    failures.push(`${recipe.name}: ${error instanceof Error ? error.message : String(error)}`)
    tell(`  failed: ${failures.at(-1)}`)
  }
}
const large = extra('large') ? await runLarge(cache, bench.python, tell) : undefined
const training = extra('training') ? await timeTrainingSteps() : []
const mini_lm_128 = await judgeMiniLm(bench.judge, results, bench.judge_ms)
const goals = goalsOf({ results, large, training, mini_lm_128 })

console.log(`\n${table(tableRows(results))}\n\n${table(peerRows(results))}\n\n${goalLines(goals)}`)
const sections = [header.join('  \n'), markdown(goalRows(goals)), markdown(tableRows(results)), markdown(peerRows(results))]
/** A part of the models never replaces what was measured of all. */
const whole = values.only === undefined && !values.quick
const written = join(cache, whole ? 'results' : 'results-part')
writeFileSync(`${written}.json`, JSON.stringify({ header, failures, goals, results, large, training, mini_lm_128 }, null, 1))
writeFileSync(`${written}.md`, `${sections.join('\n\n')}\n`)
writeFileSync(`${written}.svg`, picture(results))
if (failures.length > 0) {
  console.log(`\n  failed:\n  ${failures.join('\n  ')}`)
  process.exitCode = 1
}
tell(`done; ${written}.{json,md,svg}`)
