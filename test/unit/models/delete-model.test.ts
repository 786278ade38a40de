import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isPlatformError } from '../../../layers/core/contract/errors.ts'
import { countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { deleteModel } from '../../../layers/core/usecases/delete-model.ts'
import { findActiveModel } from '../../../layers/core/usecases/find-model.ts'
import { getModel } from '../../../layers/core/usecases/get-model.ts'
import { listModels } from '../../../layers/core/usecases/list-models.ts'
import { claimModel, readModelUse, releaseModel } from '../../../layers/core/usecases/model-use.ts'
import { retryConflicts } from '../../../layers/core/usecases/retry-conflicts.ts'
import { sweepModels } from '../../../layers/core/usecases/sweep-models.ts'
import { updateModel } from '../../../layers/core/usecases/update-model.ts'
import { uploadModel } from '../../../layers/core/usecases/upload-model.ts'
import { editorOf, type ModelStore, modelStore, prefixInspector } from '../../support/model-store.ts'

const editor = editorOf('org_1')
let store: ModelStore
beforeEach(() => {
  store = modelStore(prefixInspector((path) => readFileSync(path, 'latin1')))
})
afterEach(() => store.close())

const add = async (name = 'a'): Promise<string> => {
  const bytes = (async function* () {
    yield Buffer.from('ONNX')
  })()
  const { model_id } = await uploadModel(store, editor, async (receive) => {
    await receive({ file_name: `${name}.onnx`, bytes })
    return { name, framework: 'onnx', version: '1', metadata: {} }
  })
  return model_id
}
const claim = (model_id: string, deployment_id: string) =>
  retryConflicts(async () => store.records.write(await claimModel(store, 'org_1', model_id, deployment_id)))
const release = (model_id: string, deployment_id: string) =>
  retryConflicts(async () => {
    const operations = await releaseModel(store, 'org_1', model_id, deployment_id)
    if (operations.length > 0) await store.records.write(operations)
  })
const gone = (answer: Promise<unknown>) => expect(answer).rejects.toMatchObject({ code: 'not_found' })

test('a deleted model is gone at once: not found, not listed, not counted, not claimed, not deleted twice', async () => {
  const model_id = await add()
  expect(await deleteModel(store, editor, model_id)).toEqual({ message: `Model ${model_id} deleted successfully` })
  await gone(getModel(store, editor, model_id))
  await gone(deleteModel(store, editor, model_id))
  await gone(updateModel(store, editor, model_id, { status: 'active' }))
  await gone(claim(model_id, 'dep_1'))
  expect(await listModels(store, editor, { page: 1 })).toMatchObject({ body: { data: [], statistics: { total: 0 } } })
})

test('a model of another organisation can be neither read nor changed nor deleted', async () => {
  const model_id = await add()
  const stranger = editorOf('org_2')
  await gone(getModel(store, stranger, model_id))
  await gone(updateModel(store, stranger, model_id, { metadata: {} }))
  await gone(deleteModel(store, stranger, model_id))
  expect(await getModel(store, editor, model_id)).toMatchObject({ id: model_id })
})

test('a model in use says by whom and can be deleted once the last one lets go', async () => {
  const model_id = await add()
  await claim(model_id, 'dep_1')
  await claim(model_id, 'dep_1')
  await claim(model_id, 'dep_2')
  await expect(deleteModel(store, editor, model_id)).rejects.toMatchObject({
    code: 'model_in_use',
    status: 409,
    extras: { facts: { deployment_ids: ['dep_1', 'dep_2'] } },
  })
  await release(model_id, 'dep_1')
  await release(model_id, 'dep_unknown')
  await expect(deleteModel(store, editor, model_id)).rejects.toMatchObject({ code: 'model_in_use' })
  await release(model_id, 'dep_2')
  await deleteModel(store, editor, model_id)
  expect((await readModelUse(store, 'org_1', model_id)).deployment_ids).toEqual([])
})

test('of a claim and a deletion that meet exactly one happens', async () => {
  const outcomes = { claimed: 0, deleted: 0 }
  for (let round = 0; round < 150; round += 1) {
    const model_id = await add()
    const both = [() => claim(model_id, 'dep_1'), () => deleteModel(store, editor, model_id)]
    const answers = await Promise.allSettled((round % 2 === 0 ? both : both.toReversed()).map((act) => act()))
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const answer of answers)
      if (answer.status === 'rejected')
        expect(isPlatformError(answer.reason, 'model_in_use') || isPlatformError(answer.reason, 'not_found')).toBe(true)
    const alive = await getModel(store, editor, model_id).then(
      () => true,
      () => false,
    )
    expect((await readModelUse(store, 'org_1', model_id)).deployment_ids).toEqual(alive ? ['dep_1'] : [])
    outcomes[alive ? 'claimed' : 'deleted'] += 1
  }
  expect(outcomes.claimed + outcomes.deleted).toBe(150)
  expect(await countsByStatus(store, 'org_1', 'model')).toEqual(outcomes.claimed > 0 ? { active: outcomes.claimed } : {})
})

test('many deployments claim one model at once and none is lost', async () => {
  const model_id = await add()
  const ids = Array.from({ length: 30 }, (_, at) => `dep_${at}`)
  await Promise.all(ids.map((id) => claim(model_id, id)))
  expect((await readModelUse(store, 'org_1', model_id)).deployment_ids.toSorted()).toEqual(ids.toSorted())
  await Promise.all(ids.map((id) => release(model_id, id)))
  expect((await readModelUse(store, 'org_1', model_id)).deployment_ids).toEqual([])
})

test('an inactive model stays listed but cannot be newly used; metadata is replaced whole', async () => {
  const model_id = await add()
  await updateModel(store, editor, model_id, { metadata: { a: 1, b: 2 } })
  store.clock.at = new Date('2026-11-21T00:00:00Z')
  expect(await updateModel(store, editor, model_id, { status: 'inactive', metadata: { a: 3 } })).toMatchObject({
    status: 'inactive',
    metadata: { a: 3 },
    updated_at: '2026-11-21T00:00:00.000Z',
  })
  expect((await getModel(store, editor, model_id)).metadata).toEqual({ a: 3 })
  await expect(findActiveModel(store, 'org_1', model_id)).rejects.toMatchObject({
    code: 'conflict',
    extras: { facts: { state: 'inactive' } },
  })
  expect(await countsByStatus(store, 'org_1', 'model')).toEqual({ inactive: 1 })
  expect(await listModels(store, editor, { status: 'active' })).toMatchObject({ body: [] })
  expect(await updateModel(store, editor, model_id, {})).toMatchObject({ status: 'inactive', metadata: { a: 3 } })
})

test('bytes go a day after the deletion, with those of optimised models, and not while an optimisation reads them', async () => {
  const model_id = await add()
  const other = await add('b')
  const optimization = {
    ...{
      id: 'opt_1',
      organization_id: 'org_1',
      original_model_id: model_id,
      optimization_method: 'quantization',
      storage_path: 'optimizations/org_1/opt_1/model.onnx',
    },
    ...{
      size_reduction_percentage: 1,
      latency_reduction_percentage: 1,
      accuracy_change_percentage: null,
      accuracy_source: null,
      target_met: null,
      created_at: '',
      updated_at: '',
    },
    ...{
      metadata: {},
      target_size_bytes: null,
      target_latency_ms: null,
      calibration_artifact: null,
      attempts: [],
      size_bytes: 1,
      sha256: null,
      compute_seconds: 0,
    },
  }
  const write = (status: string) =>
    store.records.write([
      { put: { pk: 'org#org_1', sk: 'optimization#opt_1', body: { ...optimization, status } }, expect: 'any' },
    ])
  const body = async function* () {
    yield Buffer.from('x')
  }
  await store.artifacts.put('optimizations/org_1/opt_1/model.onnx', body())
  await store.artifacts.put('optimizations/org_1/opt_1/candidates/1.onnx', body())
  await write('optimizing')
  await deleteModel(store, editor, model_id)
  store.clock.at = new Date(store.clock.at.getTime() + 23 * 3_600_000)
  expect(await sweepModels(store)).toBe(0)
  store.clock.at = new Date(store.clock.at.getTime() + 2 * 3_600_000)
  expect(await sweepModels(store)).toBe(0)
  expect(store.files()).toHaveLength(4)
  await write('completed')
  expect(await sweepModels(store)).toBe(1)
  expect(store.files()).toHaveLength(1)
  expect(await store.artifacts.stat((await getModel(store, editor, other)).storage_path)).toEqual({ size_bytes: 4 })
  expect(await sweepModels(store)).toBe(0)
  expect(store.warnings).toEqual([])
  expect((await store.records.get({ pk: 'org#org_1', sk: 'optimization#opt_1' }))?.body.deleted_at).toEqual(expect.any(String))
  store.clock.at = new Date(store.clock.at.getTime() + 31 * 86_400_000)
  expect((await store.documents()).filter((sk) => /^(optimization|deleted-model)#/.test(sk))).toEqual([])
})
