import { afterEach, beforeEach, expect, it } from 'vitest'
import { OptimizedModel } from '../../../layers/core/domain/optimization.ts'
import { Task } from '../../../layers/core/domain/task.ts'
import { findOptimization, noteAttempts, optimizationKey } from '../../../layers/core/usecases/optimization-records.ts'
import { type ModelStore, modelStore, prefixInspector } from '../../support/model-store.ts'

/** What the record of an optimisation takes. */

let store: ModelStore
beforeEach(() => {
  store = modelStore(prefixInspector(() => ''))
})
afterEach(() => store.close())

const optimized = OptimizedModel.parse({
  ...{ id: 'opt_1', organization_id: 'org_1', original_model_id: 'mod_1', optimization_method: 'auto', status: 'optimizing' },
  ...{ storage_path: null, size_reduction_percentage: null, latency_reduction_percentage: null, accuracy_source: null },
  ...{
    accuracy_change_percentage: null,
    target_met: null,
    created_at: '2026-11-20T10:00:00Z',
    updated_at: '2026-11-20T10:00:00Z',
  },
  ...{ metadata: {}, target_size_bytes: null, target_latency_ms: null, calibration_artifact: null, attempts: [] },
  ...{ size_bytes: null, sha256: null, compute_seconds: 0 },
})

it('is a reason that names a node of any length', async () => {
  await store.records.write([{ put: { ...optimizationKey('org_1', 'opt_1'), body: optimized }, expect: 'absent' }])
  const ref = { organization_id: 'org_1', optimization_id: 'opt_1' }
  const reason = `Node ${'n'.repeat(400_000)} has no weights`
  for (const slot of [0, 1])
    await noteAttempts(store, ref, [{ name: `row${slot}`, settings: {}, slot, verdict: 'failed', reason }], 1)
  const { attempts } = (await findOptimization(store, 'org_1', 'opt_1')).optimized
  expect(attempts.map((attempt) => [attempt.slot, attempt.reason.length, attempt.reason.slice(0, 8)])).toEqual([
    [0, 1501, 'Node nnn'],
    [1, 1501, 'Node nnn'],
  ])
})

it('is an alphabet as large as those of text recognition', () => {
  const characters = (count: number) => Array.from({ length: count }, (_, at) => String.fromCodePoint(0x4e00 + at))
  expect(Task.safeParse({ alphabet: characters(18_385) }).success).toBe(true)
  expect(Task.safeParse({ alphabet: characters(30_000) }).error?.issues[0]?.message).toBe(
    'wanted at most 80000 characters as JSON',
  )
})
