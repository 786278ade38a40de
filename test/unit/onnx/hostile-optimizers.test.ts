import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { Optimizer } from '../../../layers/core/ports/optimizer.ts'
import { compareApart } from '../../../layers/onnx/evaluate/compare-apart.ts'
import { isRunFault } from '../../../layers/onnx/evaluate/fault.ts'
import { type GuardedProcess, startGuarded } from '../../../layers/onnx/evaluate/guarded-process.ts'
import { isOnnxFault } from '../../../layers/onnx/fault.ts'
import { inspectFile } from '../../../layers/onnx/inspect/inspect-file.ts'
import { optimizers } from '../../../layers/optimizers/index.ts'
import { type HostileModel, hostileModels } from './hostile-models.ts'
import { realModelPaths } from './real-models.ts'

const scratch = mkdtempSync(join(tmpdir(), 'hostile-models-'))
const out = mkdtempSync(join(tmpdir(), 'hostile-out-'))
const models = hostileModels(scratch)
afterAll(() => {
  for (const folder of [scratch, out, join(tmpdir(), `${basename(scratch)}-in-cwd.bin`)])
    rmSync(folder, { recursive: true, force: true })
})

const MEMORY_BYTES = 700 * 2 ** 20
const LIMIT_MS = 15_000
/** For models that never end: every optimizer and comparison waits that long for nothing. */
const ENDLESS_LIMIT_MS = 1200
const buildEntry = new URL('../../../layers/optimizers/build-child.ts', import.meta.url)

/** Processes started by this one, and theirs. */
const family = (pid: number): number[] => {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
    return children === ''
      ? []
      : children
          .split(' ')
          .map(Number)
          .flatMap((child) => [child, ...family(child)])
  } catch {
    return []
  }
}

/** Settings this optimizer would try on a model of dense layers. */
const settingsOf = (optimizer: Optimizer): JsonObject | undefined => {
  const operators = { MatMul: 2, Gemm: 2, Conv: 2, Gather: 1, Relu: 2, LayerNormalization: 1 }
  for (const precision of [undefined, ...(optimizer.precisions ?? [])]) {
    const metadata: JsonObject = precision ? { precision } : {}
    const asked = { metadata, target_size_bytes: 1000, target_latency_ms: null, has_data: true }
    const settings = optimizer.suits({ format: 'onnx', operators }, asked)
    if (typeof settings !== 'string' && settings[0]) return settings[0]
  }
  return undefined
}

/** What came of one model: the notes of a candidate, or the sentence that refused it and how. */
const outcome = async (
  child: GuardedProcess,
  request: object,
  limit_ms: number,
): Promise<{ ok: boolean; said: string; gone: boolean }> => {
  try {
    const answer = await child.ask(request, limit_ms)
    const { ok, detail } = answer as { ok: boolean; detail?: string }
    return { ok, said: detail ?? '', gone: false }
  } catch (error) {
    if (!isRunFault(error)) throw error
    return { ok: false, said: error.message, gone: true }
  }
}

describe('hostile models', () => {
  it.each(models.map((each) => [each.name, each] as const))('with %s are refused or described by the inspection', async (_name, {
    path,
    refused,
  }) => {
    const inspected = inspectFile(path, { framework: 'onnx', file_name: 'model.onnx' })
    if (!refused) await expect(inspected).resolves.toMatchObject({ format: 'onnx' })
    else await expect(inspected).rejects.toSatisfy((error) => isOnnxFault(error) && error.detail.length > 20)
  })

  it.concurrent.each(optimizers.map((each) => [each.name, each] as const))(
    'leave nothing behind when %s is applied to them',
    async (name, optimizer) => {
      const settings = settingsOf(optimizer)
      expect(settings).toBeDefined()
      const seen = new Set<number>()
      const start = (): GuardedProcess => startGuarded(buildEntry, { memory_bytes: MEMORY_BYTES, label: `Optimizer ${name}` })
      let child = start()
      const watch = setInterval(() => [child.pid, ...family(child.pid)].forEach((pid) => void seen.add(pid)), 25)
      try {
        for (const model of models) {
          const folder = mkdtempSync(join(out, `${name}-`))
          const { ok, said, gone } = await outcome(
            child,
            {
              module: optimizer.module,
              optimizer: name,
              settings,
              model_path: model.path,
              candidate_path: join(folder, 'candidate.onnx'),
              calibration_path: null,
              evaluation_path: null,
            },
            model.endless ? ENDLESS_LIMIT_MS : LIMIT_MS,
          )
          expect([model.name, ok || said.length > 20], said).toEqual([model.name, true])
          if (model.refused) expect([model.name, ok, gone], said).toEqual([model.name, false, false])
          // A process that was killed could not tidy up: whoever killed it removes the folder, as the workbench does.
          if (!gone) expect([model.name, readdirSync(folder)]).toEqual([model.name, ok ? ['candidate.onnx'] : []])
          rmSync(folder, { recursive: true })
          if (!gone) continue
          await child.stop()
          child = start()
        }
      } finally {
        clearInterval(watch)
        await child.stop()
      }
      for (let waited = 0; waited < 40 && [...seen].some(isAlive); waited++) await pause(100)
      expect([...seen].filter(isAlive)).toEqual([])
    },
    60_000,
  )

  const runnable = resolve(realModelPaths().find((path) => path.includes('rhasspy')) ?? '')
  const compared: HostileModel[] = models.filter(({ name }) => /hard link|deep|80 GB|without end|shorter|half/.test(name))
  it.each(
    compared.map((each) => [each.name, each] as const),
  )('with %s end a comparison with a sentence', async (_name, model) => {
    const limits = {
      budget_ms: 200,
      threads: 1,
      memory_limit_bytes: MEMORY_BYTES,
      load_limit_ms: LIMIT_MS,
      run_limit_ms: ENDLESS_LIMIT_MS,
    }
    await expect(compareApart({ original_path: runnable, candidate_path: model.path, ...limits }, 15_000)).rejects.toSatisfy(
      (error) => isRunFault(error) && /candidate/.test(error.message) && error.message.length > 20,
    )
  })

  it('leave the folders as they were, and this process no larger than it may be', () => {
    for (const { path } of models) expect(readdirSync(join(path, '..')).length).toBeLessThanOrEqual(2)
    expect(process.memoryUsage().rss).toBeLessThan(2 * 2 ** 30)
  })
})

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`)
