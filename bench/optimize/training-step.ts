import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import * as z from 'zod'

/** One distillation step with Adam of a 784-128-10 network, by our engine and, where a Python here has it, by PyTorch. */
export interface TrainingStep {
  threads: number
  ours_ms: number
  torch?: { version: string; ms: number }
}

const run = promisify(execFile)
const bench = resolve(import.meta.dirname, '..')
const Torch = z.object({ torch: z.string(), ms: z.number() })
const STEPS = '1000'

export const timeTrainingSteps = async (): Promise<TrainingStep[]> => {
  const { stdout } = await run(process.execPath, [resolve(bench, 'train.ts'), STEPS])
  const ours = [...stdout.matchAll(/(\d) thread\(s\).*median ([\d.]+) ms/g)].map((found) => ({
    threads: Number(found[1]),
    ours_ms: Number(found[2]),
  }))
  const steps: TrainingStep[] = []
  for (const each of ours) {
    const torch = await timeTorch(each.threads)
    steps.push({ ...each, ...(torch && { torch: { version: torch.torch, ms: torch.ms } }) })
  }
  return steps
}

/** Debian's PyTorch belongs to the system's Python, which need not be the first of the path. */
const timeTorch = async (threads: number): Promise<z.infer<typeof Torch> | undefined> => {
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      const { stdout } = await run(python, [resolve(bench, 'peers/train_step.py'), String(threads), STEPS])
      return Torch.parse(JSON.parse(stdout))
    } catch {
      // No PyTorch in this one.
    }
  }
  return undefined
}
