import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { nextAttempt } from '../../../layers/core/domain/next-attempt.ts'
import { type SearchProgress, searchModel } from '../../../layers/optimizers/search.ts'
import { copyWhole } from '../../../layers/optimizers/search-files.ts'
import { snapshotPrices } from '../../../layers/pricing/snapshot.ts'
import { npyBytes } from '../../support/arrays.ts'
import { bad, copying } from '../../support/extension-optimizers.ts'
import { denseModel, writeModel } from '../../support/models.ts'

const folder = mkdtempSync(join(tmpdir(), 'search-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const scratch_dir = join(folder, 'scratch')
const model_path = writeModel(join(folder, 'dense.onnx'), denseModel([64, 256, 256, 8]))
const limits = { measure_ms: 800, build_ms: 2000, memory_bytes: 700 * 2 ** 20 }

describe('a search on files', () => {
  it('goes on past optimizers as bad as they come, says what became of each and publishes none of them', async () => {
    const seen: SearchProgress[] = []
    const output_path = join(folder, 'best.onnx')
    const result = await searchModel({
      model_path,
      output_path,
      method: 'custom',
      metadata: { allow_slower: true },
      optimizers: [copying, ...bad.filter(({ name }) => name !== 'greedy')],
      target: 'lambda-x86_64-1769',
      prices: snapshotPrices(),
      time_budget_s: 20,
      scratch_dir,
      limits,
      onProgress: (progress) => void seen.push(progress),
    })
    const became = Object.fromEntries(result.attempts.map(({ name, verdict, reason }) => [name, `${verdict}: ${reason}`]))
    expect(became).toMatchObject({
      copying: expect.stringMatching(/^rejected: (Neither|Inconclusive)/),
      endless: expect.stringMatching(/^failed: .*2000 ms/),
      dying: expect.stringMatching(/^failed: .*exit code 7/),
      broken: expect.stringMatching(/^failed: /),
    })
    expect(result).toMatchObject({
      chosen: null,
      interrupted: false,
      left_out: [{ optimizer: 'reluctant', reason: 'it is Saturday' }],
    })
    const copy = result.attempts.find(({ name }) => name === 'copying')
    expect(copy).toMatchObject({ candidate: { size_bytes: readFileSync(model_path).length }, fidelity: { max_abs_error: 0 } })
    expect(copy?.cost_per_1000?.candidate_usd).toBeGreaterThan(0)
    expect(copy).not.toHaveProperty('artifact')
    expect(seen.filter(({ kind }) => kind === 'tried')).toHaveLength(4)
    expect(seen[0]?.kind).toBe('planned')
    expect(existsSync(output_path)).toBe(false)
    expect(readdirSync(scratch_dir)).toEqual([])
  })

  it('ends in the middle of a build when it is told to, within moments, and leaves nothing', async () => {
    const controller = new AbortController()
    const endless = bad.filter(({ name }) => name === 'endless')
    const result = await searchModel({
      model_path,
      method: 'custom',
      optimizers: endless,
      scratch_dir,
      limits: { ...limits, build_ms: 60_000 },
      signal: controller.signal,
      onProgress: ({ kind }) => void (kind === 'building' && setTimeout(() => controller.abort(), 300)),
    })
    expect(result).toMatchObject({ interrupted: true, attempts: [], chosen: null, reason: 'Interrupted' })
    expect(readdirSync(scratch_dir)).toEqual([])
  })

  it('says which wish is of no use before anything is built', async () => {
    await expect(searchModel({ model_path, accuracy_gate: { top1: 1 }, scratch_dir })).rejects.toThrow(/^accuracy_gate/)
    await expect(searchModel({ model_path, calibration_path: folder, scratch_dir })).rejects.toThrow(
      /Calibration data .* is not usable \(it is a directory\)/,
    )
    const unusable = [
      ['quantization', 'per_channel'],
      ['auto', 'structure'],
      ['distillation', 'student'],
    ] as const
    for (const [method, name] of unusable)
      await expect(searchModel({ model_path, method, metadata: { [name]: 'maybe' }, scratch_dir })).rejects.toThrow(
        new RegExp(`^metadata\\.${name} is not usable`),
      )
    await expect(searchModel({ model_path, metadata: { per_chanel: true }, scratch_dir })).rejects.toThrow(
      /did you mean per_channel/,
    )
    expect(readdirSync(scratch_dir)).toEqual([])
  })

  it('ends at the first reading of rows that are not the model’s', async () => {
    const evaluation_path = join(folder, 'wrong.npy')
    writeFileSync(evaluation_path, npyBytes('<f4', [20, 5], new Uint8Array(400)))
    const tried: unknown[] = []
    const onProgress = ({ kind }: SearchProgress) => void (kind === 'tried' && tried.push(kind))
    await expect(searchModel({ model_path, evaluation_path, scratch_dir, limits, onProgress })).rejects.toThrow(
      /has shape \[20,5\]/,
    )
    expect(tried).toEqual([])
  })

  it('asks for the next attempt the same way as the platform does: the settings tried are those of the plan', async () => {
    const output_path = join(folder, 'small.onnx')
    const target_size_bytes = Math.round(readFileSync(model_path).length * 0.55)
    const asked = { model_path, output_path, target_size_bytes, time_budget_s: 5, scratch_dir, limits }
    const { plan, attempts, chosen, target_met, budget_s, original } = await searchModel({ ...asked, method: 'quantization' })
    const first = nextAttempt({
      plan,
      attempts: [],
      asked: { method: 'quantization', metadata: {}, target_size_bytes, target_latency_ms: null },
      original_size_bytes: original.size_bytes,
      spent_ms: 0,
      budget_ms: budget_s * 1000,
    })
    expect(first).toMatchObject({ step: 'try', optimizer: attempts[0]?.name, settings: attempts[0]?.settings })
    expect(target_met).toBe(true)
    const written = readFileSync(output_path)
    expect(chosen?.sha256).toBe(createHash('sha256').update(written).digest('hex'))
    expect(attempts[chosen?.index ?? -1]).toMatchObject({ verdict: 'published', sha256: chosen?.sha256 })
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
  })
})

it('leaves what stood under a name as it was when the writing fails', async () => {
  const to = join(folder, 'kept.onnx')
  writeFileSync(to, 'kept')
  await expect(copyWhole(join(folder, 'absent.onnx'), to)).rejects.toThrow(/kept\.onnx is not usable \(ENOENT\)/)
  expect(readFileSync(to, 'utf8')).toBe('kept')
  expect(readdirSync(folder).filter((name) => name.includes('.part'))).toEqual([])
})
