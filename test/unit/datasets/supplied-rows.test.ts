import { afterEach, beforeEach, expect, it } from 'vitest'
import { SuppliedRows } from '../../../layers/core/contract/routes/models.ts'
import type { Model } from '../../../layers/core/domain/model.ts'
import { modelKey } from '../../../layers/core/usecases/find-model.ts'
import { optimizeModel } from '../../../layers/core/usecases/optimize-model.ts'
import { dynamicInt8 } from '../../../layers/optimizers/dynamic-int8.ts'
import { editorOf, type ModelStore, modelStore, prefixInspector } from '../../support/model-store.ts'

/** Rows that come with a request to optimise. */

let store: ModelStore
beforeEach(() => {
  store = modelStore(prefixInspector(() => ''))
})
afterEach(() => store.close())

const model: Model = {
  id: 'mod_1',
  organization_id: 'org_1',
  name: 'm',
  framework: 'onnx',
  version: '1',
  status: 'active',
  storage_path: 'models/org_1/mod_1/m.onnx',
  file_name: 'm.onnx',
  size_bytes: 100,
  sha256: 'a',
  inspection: null,
  created_at: '2026-11-20T10:00:00.000Z',
  updated_at: '2026-11-20T10:00:00.000Z',
  metadata: {},
}
const start = (evaluation_data: { dataset_id: string } | string) =>
  optimizeModel(
    {
      ...store,
      optimizers: async () => [dynamicInt8],
      workflows: { start: async () => undefined, status: async () => undefined, cancel: async () => undefined },
    },
    editorOf('org_1'),
    {
      model_id: 'mod_1',
      method: 'quantization',
      metadata: {},
      calibration_data: `data:;base64,${Buffer.from('{"x": [1]}\n').toString('base64')}`,
      evaluation_data,
    },
  )

it.each([
  ['is nobody’s', { dataset_id: 'dts_none' }, 'not_found'],
  ['is no file of rows', 'data:;base64,AAAA', 'invalid_request'],
])('are not left behind where the other file %s', async (_, evaluation_data, code) => {
  await store.records.write([{ put: { ...modelKey('org_1', 'mod_1'), body: model }, expect: 'absent' }])
  await expect(start(evaluation_data)).rejects.toMatchObject({ code })
  expect(store.files()).toEqual([])
  const { id } = await start(`data:;base64,${Buffer.from('{"x": [2]}\n').toString('base64')}`)
  expect((await store.artifacts.list(`optimizations/org_1/${id}/`)).toSorted()).toEqual([
    `optimizations/org_1/${id}/calibration.jsonl`,
    `optimizations/org_1/${id}/evaluation.jsonl`,
  ])
})

it('are refused with the three forms they may have', () => {
  for (const wrong of [{}, 7, { dataset_id: 1 }])
    expect(SuppliedRows.safeParse(wrong).error?.issues.map(({ message }) => message)).toEqual([
      'wanted "data:…;base64,…", {"dataset_id": "dts_…"} or {"deployment_id": "dep_…"}',
    ])
})
