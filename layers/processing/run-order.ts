import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { PlatformError } from '../core/contract/errors.ts'
import { JsonObject, JsonValue } from '../core/domain/json.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import { optimizers } from '../optimizers/index.ts'
import { storeFile } from '../optimizers/store-file.ts'
import { localWorkbench, type WorkbenchParts } from '../optimizers/workbench.ts'
import { inputsOf, type Layout, layouts, Order, type Outcome, trainingSeconds } from './order.ts'

/** What a job runs: one order of the workbench, with files instead of artifacts. */

/** Artifacts of one order: its inputs lie where the job put them, what it makes goes to where the job takes it from. */
const jobArtifacts = (root: string, layout: Layout, order: Order): Pick<Artifacts, 'asFile' | 'put'> => {
  const inputs = inputsOf(order)
  const files = new Map<string, string>()
  for (const role of ['candidate', 'evaluation', 'calibration', 'original'] as const) {
    const key = inputs[role]
    if (key !== null) files.set(key, join(root, layout.input(role), basename(key)))
  }
  return {
    asFile: async (key) => {
      const path = files.get(key)
      if (path === undefined) throw new PlatformError('internal', `The order names no ${key}`)
      return { path, release: async () => undefined }
    },
    put: (key, body) => storeFile(join(root, layout.candidate, basename(key)), body),
  }
}

/** Training may take as long as it was told to, and what comes before and after; SageMaker ends the job itself past its own limit. */
const partsOf = (root: string, layout: Layout, order: Order): WorkbenchParts => {
  const training_s = order.kind === 'build' ? trainingSeconds(order.order.settings) : 0
  return {
    artifacts: jobArtifacts(root, layout, order),
    optimizers,
    scratch_dir: join(tmpdir(), 'aideploy-order'),
    ...(training_s > 0 && { limits: { build_ms: (training_s * 1.2 + 900) * 1000 } }),
    ...(layout.checkpoints !== undefined && { checkpoint_dir: join(root, layout.checkpoints) }),
  }
}

const carryOut = async (root: string, layout: Layout): Promise<Outcome> => {
  const order = Order.parse(JSON.parse(await readFile(join(root, layout.input('order'), 'order.json'), 'utf8')))
  const workbench = localWorkbench(partsOf(root, layout, order))
  try {
    const result = await (order.kind === 'build' ? workbench.build(order.order) : measured(workbench, order.order))
    return { ok: true, result: JsonValue.parse(JSON.parse(JSON.stringify(result))) }
  } catch (error) {
    if (!(error instanceof PlatformError) || (error.code !== 'model_error' && error.code !== 'invalid_request')) throw error
    const facts = JsonObject.parse(JSON.parse(JSON.stringify(error.extras.facts ?? {})))
    return { ok: false, code: error.code, detail: error.message, facts }
  }
}

const measured = (workbench: ReturnType<typeof localWorkbench>, order: Extract<Order, { kind: 'measure' }>['order']) => {
  const { class_output, evaluation = null, ...rest } = order
  return workbench.measure({ ...rest, evaluation, class_output })
}

const root = process.argv[2] ?? '/opt/ml'
const layout: Layout = process.argv[3] === 'training' ? layouts.training : layouts.processing
try {
  await writeFile(join(root, layout.result, 'result.json'), JSON.stringify(await carryOut(root, layout)))
} catch (error) {
  await writeFile(join(root, layout.fault), String(error).slice(0, 1000))
  process.exitCode = 1
}
