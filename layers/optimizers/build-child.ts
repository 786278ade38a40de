import * as z from 'zod'
import { JsonObject } from '../core/domain/json.ts'
import type { Optimizer } from '../core/ports/optimizer.ts'
import { ArrayFault } from '../onnx/evaluate/npy.ts'
import { dieWithParent } from '../onnx/evaluate/orphan-guard.ts'
import { isOnnxFault } from '../onnx/fault.ts'
import { checkModelFile } from '../onnx/inspect/check-file.ts'

/** The process that applies one optimizer to one foreign model. Started, limited and ended by `workbench.ts`. */

const Request = z.object({
  id: z.number(),
  module: z.string(),
  optimizer: z.string(),
  model_path: z.string(),
  candidate_path: z.string(),
  settings: JsonObject,
  calibration_path: z.string().nullable(),
  evaluation_path: z.string().nullable(),
  checkpoint_dir: z.string().optional(),
})

const isOptimizer = (value: unknown): value is Optimizer =>
  typeof value === 'object' && value !== null && 'name' in value && 'apply' in value && typeof value.apply === 'function'

/** The optimizer of this name among what the module exports, alone or in lists. */
async function load(module: string, name: string): Promise<Optimizer> {
  const exported: Record<string, unknown> = await import(module)
  const found = Object.values(exported)
    .flat()
    .filter(isOptimizer)
    .find((optimizer) => optimizer.name === name)
  if (!found) throw new Error(`${module} exports no optimizer named ${name}`)
  return found
}

/** What was refused: the data, the model by this pass, or there is nothing to do. */
const reasonOf = (error: unknown) => {
  if (error instanceof ArrayFault) return 'data'
  return isOnnxFault(error, 'nothing_to_do') ? 'nothing_to_do' : 'refused'
}

dieWithParent()
process.on('message', async (message) => {
  const { id, module, optimizer: name, settings, checkpoint_dir, ...files } = Request.parse(message)
  const paths = { ...files, ...(checkpoint_dir === undefined ? {} : { checkpoint_dir }) }
  try {
    checkModelFile(paths.model_path)
    const optimizer = await load(module, name)
    const { notes } = await optimizer.apply({ ...paths, settings: JsonObject.parse(optimizer.settings.parse(settings)) })
    process.send?.({ id, ok: true, notes })
  } catch (error) {
    process.send?.({ id, ok: false, reason: reasonOf(error), detail: error instanceof Error ? error.message : String(error) })
  }
})
