import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { PlatformError } from '../core/contract/errors.ts'
import { JsonObject, JsonValue } from '../core/domain/json.ts'
import type { Artifacts } from '../core/ports/artifacts.ts'
import { optimizers } from '../optimizers/index.ts'
import { localWorkbench } from '../optimizers/workbench.ts'
import { candidateFolder, inputFolder, Order, type Outcome, resultFolder } from './order.ts'

/** What a processing job runs: one order of the workbench, with files instead of artifacts. */

/** Artifacts of one order: its inputs lie where the job put them, what it makes goes to where the job takes it from. */
const jobArtifacts = (root: string, { order }: Order): Pick<Artifacts, 'asFile' | 'put'> => {
  const files = new Map<string, string>()
  const inputs = { candidate: order.candidate, calibration: order.calibration, original: order.original }
  for (const role of ['candidate', 'calibration', 'original'] as const) {
    const key = inputs[role]
    if (key !== null) files.set(key, join(root, inputFolder(role), basename(key)))
  }
  return {
    asFile: async (key) => {
      const path = files.get(key)
      if (path === undefined) throw new PlatformError('internal', `The order names no ${key}`)
      return { path, release: async () => undefined }
    },
    put: async (key, body) => {
      const hash = createHash('sha256')
      let size_bytes = 0
      const counted = async function* () {
        for await (const piece of body) {
          hash.update(piece)
          size_bytes += piece.byteLength
          yield piece
        }
      }
      await pipeline(counted, createWriteStream(join(root, candidateFolder, basename(key))))
      return { size_bytes, sha256: hash.digest('hex') }
    },
  }
}

const carryOut = async (root: string): Promise<Outcome> => {
  const order = Order.parse(JSON.parse(await readFile(join(root, inputFolder('order'), 'order.json'), 'utf8')))
  const scratch_dir = join(tmpdir(), 'aideploy-order')
  const workbench = localWorkbench({ artifacts: jobArtifacts(root, order), optimizers, scratch_dir })
  try {
    const { class_output, ...rest } = order.kind === 'measure' ? order.order : { class_output: undefined }
    const result =
      order.kind === 'build'
        ? await workbench.build(order.order)
        : await workbench.measure({ ...order.order, ...rest, class_output })
    return { ok: true, result: JsonValue.parse(JSON.parse(JSON.stringify(result))) }
  } catch (error) {
    if (!(error instanceof PlatformError) || (error.code !== 'model_error' && error.code !== 'invalid_request')) throw error
    const facts = JsonObject.parse(JSON.parse(JSON.stringify(error.extras.facts ?? {})))
    return { ok: false, code: error.code, detail: error.message, facts }
  }
}

const root = process.argv[2] ?? '/opt/ml'
try {
  await writeFile(join(root, resultFolder, 'result.json'), JSON.stringify(await carryOut(root)))
} catch (error) {
  // What SageMaker shows as the job's exit message.
  await writeFile(join(root, 'output/message'), String(error).slice(0, 1000))
  process.exitCode = 1
}
