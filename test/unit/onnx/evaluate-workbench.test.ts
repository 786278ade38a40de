import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { diskArtifacts } from '../../../layers/artifacts/disk.ts'
import { Fidelity, TaskResult } from '../../../layers/core/domain/optimization.ts'
import { optimizers } from '../../../layers/optimizers/index.ts'
import { localWorkbench } from '../../../layers/optimizers/workbench.ts'
import { npyBytes, npzBytes } from '../../support/arrays.ts'
import { denseModel, writeModel } from '../../support/models.ts'
import { telling } from '../../support/telling-optimizer.ts'

const folder = mkdtempSync(join(tmpdir(), 'bench-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const artifacts = diskArtifacts({
  root: join(folder, 'artifacts'),
  now: () => new Date(),
  sign_key: 'key',
  public_url: 'http://127.0.0.1',
})
const checkpoint_dir = join(folder, 'checkpoints')
const workbench = localWorkbench({
  artifacts,
  optimizers: [...optimizers, telling],
  scratch_dir: join(folder, 'scratch'),
  checkpoint_dir,
  keep_ms: 10_000,
})
afterAll(() => workbench.close())
const rows = (count: number, label: number, value = Math.sin) =>
  npzBytes(
    {
      'x.npy': npyBytes(
        '<f4',
        [count, 16],
        new Uint8Array(Float32Array.from({ length: count * 16 }, (_, at) => value(at)).buffer),
      ),
      'labels.npy': npyBytes('|u1', [count], new Uint8Array(count).fill(label)),
    },
    8,
  )

beforeAll(async () => {
  const files = {
    model: denseModel([16, 64, 4]),
    other: denseModel([16, 32, 4]),
    evaluation: rows(400, 1),
    wrong: rows(400, 9),
    void: rows(20, 1, () => Number.NaN),
    constant: rows(20, 1, () => 0.5),
    sparse: rows(20, 1, (at) => (at < 16 * 3 ? Math.sin(at) : Number.NaN)),
  }
  for (const [key, bytes] of Object.entries(files))
    await artifacts.put(`m/${key}`, createReadStream(writeModel(join(folder, key), bytes)))
})

const measured = (evaluation: string, changes: object = {}) =>
  workbench.measure({
    original: 'm/model',
    candidate: 'm/other',
    calibration: null,
    evaluation,
    class_output: undefined,
    input_shapes: {},
    budget_ms: 400,
    ...changes,
  })

describe('the workbench', () => {
  it('judges by evaluation data and their labels, in figures fit to be kept', async () => {
    const { fidelity, task, original } = await measured('m/evaluation')
    expect(fidelity).toEqual(Fidelity.parse(fidelity))
    expect(task).toEqual(TaskResult.parse(task))
    expect(fidelity).toMatchObject({ rows: 320, rows_available: 320, rows_shared: 0, inputs: 'supplied' })
    expect(task).toMatchObject({ metric: 'accuracy', rows: 320 })
    const [low, high] = original.p50_interval_ms ?? []
    expect(low).toBeLessThanOrEqual(original.p50_ms)
    expect(high).toBeGreaterThanOrEqual(original.p50_ms)
  })

  it('reads labels as the task says, and blames the data when they do not fit', async () => {
    expect((await measured('m/evaluation', { task: { metric: 'f1', blank: 0 } })).task?.metric).toBe('f1')
    await expect(measured('m/wrong')).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('has the label 9; wanted whole numbers from 0 to 3'),
    })
  })

  it('judges by all rows where nothing is fitted', async () => {
    const { fidelity, task } = await measured('m/evaluation', { unfitted: true, budget_ms: 2000 })
    expect(fidelity).toMatchObject({ rows: 400, rows_available: 400, rows_shared: 0, rows_different: 8 })
    expect(task?.rows).toBe(400)
  })

  it('counts rows that differ and are answered, and says what is wrong where none is', async () => {
    expect((await measured('m/constant')).fidelity).toMatchObject({ rows: 20, rows_different: 1 })
    expect((await measured('m/sparse')).fidelity).toMatchObject({ rows: 20, rows_different: 3 })
    await expect(measured('m/void')).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(
        /The original answers none of the 20 supplied rows with a finite number: row 0 \(from 0\) holds NaN in input x; wanted rows/,
      ),
    })
  })

  it('tells a latency by the estimate that its interval holds', async () => {
    const {
      latency_interval: { estimate_percent = Number.NaN, low_percent, high_percent } = { low_percent: 0, high_percent: 0 },
    } = await measured('m/evaluation')
    expect(low_percent).toBeLessThanOrEqual(estimate_percent)
    expect(high_percent).toBeGreaterThanOrEqual(estimate_percent)
  })

  it('gives optimizers the evaluation data to fit with where there are no others', async () => {
    const order = { original: 'm/model', candidate: 'm/candidate', calibration: null, evaluation: 'm/evaluation' }
    const told = await workbench.build({ ...order, optimizer: telling.name, settings: {} })
    const heard = z.record(z.string(), z.unknown()).parse(JSON.parse(told.notes[0] ?? ''))
    expect(heard).toMatchObject({
      calibration_path: null,
      evaluation_path: expect.stringContaining('evaluation'),
      checkpoint_dir,
    })
    const pruned = await workbench.build({
      ...order,
      optimizer: 'structured-pruning',
      settings: { sparsity: 0.5, structure: 'structured' },
    })
    expect(pruned.notes.join('; ')).toContain('fitted on 80 supplied rows, judged by 320 others')
  })
})
