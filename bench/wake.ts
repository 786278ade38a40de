/**
 * From a sleeping deployment to its first answer: `node bench/wake.ts [WAKES]`. A model is deployed by the process deployer, put to sleep,
 * woken and called, again and again, with one spare process as in the product and a pause so that the spare is there.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processDeployer } from '../layers/deployers/process.ts'
import { writeServingForm } from '../layers/onnx/serving-form.ts'
import { startInstance } from '../layers/serving/instance.ts'
import { deployTarget, predict, silentLog } from '../test/support/deployments.ts'
import { denseModel, writeModel } from '../test/support/models.ts'

const wakes = Number(process.argv[2] ?? 40)
const dir = mkdtempSync(join(tmpdir(), 'bench-wake-'))
const deployer = processDeployer({
  artifacts: { asFile: async (path) => ({ path, release: async () => undefined }) },
  deployments_dir: join(dir, 'deployments'),
  scratch_dir: join(dir, 'scratch'),
  log: silentLog,
  writeServingForm,
  startInstance,
  on_failed: (id, reason) => console.error(`${id} failed: ${reason}`),
})
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const subjects = [
  { name: 'MLP 7 MB', widths: [1024, 1024, 680, 10], p50_goal_ms: 50, p99_goal_ms: 150 },
  { name: 'MLP 84 MB', widths: [2048, 2048, 2048, 2048, 2048, 2048, 10], p50_goal_ms: 80, p99_goal_ms: 250 },
]

for (const { name, widths, p50_goal_ms, p99_goal_ms } of subjects) {
  const target = deployTarget(writeModel(join(dir, `${widths.length}.onnx`), denseModel(widths)), {
    id: `dep_${widths.length}`,
    name: 'm',
  })
  const input = { inputs: [Array(widths[0]).fill(0.1)] }
  await deployer.deploy(target)
  const times: number[] = []
  for (let i = 0; i < wakes; i++) {
    await deployer.hibernate(target)
    await pause(1200)
    const started = performance.now()
    await deployer.activate(target)
    const { status } = await predict(deployer, target, input)
    times.push(performance.now() - started)
    if (status !== 200) throw new Error(`wake ${i} answered ${status}`)
  }
  await deployer.undeploy(target)
  times.sort((a, b) => a - b)
  const p50 = times[Math.floor(times.length * 0.5)] ?? 0
  const p99 = times[Math.floor(times.length * 0.99)] ?? 0
  const met = p50 <= p50_goal_ms && p99 <= p99_goal_ms ? 'met' : 'NOT met'
  console.log(
    `${name}: wake to first answer p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms of ${wakes} (goal ${p50_goal_ms}/${p99_goal_ms}: ${met})`,
  )
}
await deployer.stop()
rmSync(dir, { recursive: true, force: true })
