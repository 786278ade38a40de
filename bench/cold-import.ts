/**
 * How long each function's bundle takes to import in a fresh process, against an eager import of the AWS SDK clients that the AWS
 * composition can reach, which is what every cold start would pay if they were not imported at their first use.
 *
 *   node bench/cold-import.ts [--runs 5] [--unit models]
 *
 * Each figure is the median over fresh processes of CPU time (user and system) and wall time between just before and just after the
 * import; Node's own start is not in it.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { buildFunctions, buildRuntime } from '../bin/build.ts'
import { units } from '../lib/units.ts'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, unit: { type: 'string', multiple: true } } })
const root = join(import.meta.dirname, '..')
const environment = {
  PATH: '/usr/bin:/bin',
  AWS_REGION: 'us-east-1',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024',
  AIDEPLOY_STAGE: 'bench',
  AIDEPLOY_TABLE: 'records',
  AIDEPLOY_BUCKET: 'artifacts',
}

interface Cost {
  wall_ms: number
  cpu_ms: number
}

const once = async (specifiers: readonly string[]): Promise<Cost> => {
  const script = `
    globalThis.awslambda = { streamifyResponse: (handler) => handler, HttpResponseStream: { from: (stream) => stream } }
    const cpu = process.cpuUsage(), started = performance.now()
    await Promise.all(${JSON.stringify(specifiers)}.map((specifier) => import(specifier)))
    const { user, system } = process.cpuUsage(cpu)
    process.stdout.write('\\n' + JSON.stringify({ wall_ms: performance.now() - started, cpu_ms: (user + system) / 1000 }) + '\\n')
    process.exit(0)`
  const args = ['--input-type=module', '-e', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env: environment })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

const median = (figures: number[]): number => figures.sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN

const measured = async (specifiers: readonly string[]): Promise<Cost> => {
  const costs: Cost[] = []
  for (let run = 0; run < Number(values.runs); run++) costs.push(await once(specifiers))
  return { wall_ms: median(costs.map(({ wall_ms }) => wall_ms)), cpu_ms: median(costs.map(({ cpu_ms }) => cpu_ms)) }
}

const folder = await mkdtemp(join(tmpdir(), 'aideploy-cold-'))
try {
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  const dist = join(folder, 'dist')
  await Promise.all([buildFunctions(dist), buildRuntime(join(dist, 'runtime'))])
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const clients = Object.keys(dependencies).filter((name) => name.startsWith('@aws-sdk/'))
  const line = (name: string, { wall_ms, cpu_ms }: Cost, share: string): void =>
    console.log(`${name.padEnd(34)} ${wall_ms.toFixed(1).padStart(8)} ms ${cpu_ms.toFixed(1).padStart(8)} ms CPU ${share}`)
  const eager = await measured(clients)
  line(`${clients.length} SDK clients, eager`, eager, '1')
  const wanted = units.map(({ name }) => name).filter((name) => values.unit === undefined || values.unit.includes(name))
  for (const name of wanted) {
    const cost = await measured([join(dist, `${name}.mjs`)])
    line(name, cost, `${(cost.wall_ms / eager.wall_ms).toFixed(3)}`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
