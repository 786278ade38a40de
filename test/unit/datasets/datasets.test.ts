import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OptimizedModel } from '../../../layers/core/domain/optimization.ts'
import { completeDatasetUpload } from '../../../layers/core/usecases/complete-dataset-upload.ts'
import { completeUpload } from '../../../layers/core/usecases/complete-upload.ts'
import { findDataset } from '../../../layers/core/usecases/dataset-records.ts'
import { deleteDataset } from '../../../layers/core/usecases/delete-dataset.ts'
import { getDataset } from '../../../layers/core/usecases/get-dataset.ts'
import { listDatasets } from '../../../layers/core/usecases/list-datasets.ts'
import { putOptimization } from '../../../layers/core/usecases/optimization-records.ts'
import { putUploadPart } from '../../../layers/core/usecases/put-upload-part.ts'
import { sweepDatasets } from '../../../layers/core/usecases/sweep-datasets.ts'
import { sweepUploads } from '../../../layers/core/usecases/sweep-uploads.ts'
import { updateDataset } from '../../../layers/core/usecases/update-dataset.ts'
import { beginDatasetUpload, uploadDataset } from '../../../layers/core/usecases/upload-dataset.ts'
import { onnxInspector } from '../../../layers/inspector/onnx.ts'
import { npyBytes } from '../../support/arrays.ts'
import { editorOf, type ModelStore, modelStore } from '../../support/model-store.ts'
import { floatRows } from '../../support/row-files.ts'

const DAY_MS = 86_400_000
const editor = editorOf('org_1')
const bytes = npyBytes('<f4', [5, 4], floatRows([5, 4]))
let store: ModelStore
beforeEach(() => {
  store = modelStore(onnxInspector())
})
afterEach(() => store.close())

const later = (days: number): void => {
  store.clock.at = new Date(store.clock.at.getTime() + days * DAY_MS)
}
const upload = (content: Uint8Array = bytes, keep = false) =>
  uploadDataset(store, editor, async (receive) => {
    await receive({ file_name: '../rows of mine.npy', bytes: Readable.from([content]) })
    return { name: 'rows', keep }
  })
const begin = () =>
  beginDatasetUpload(store, editor, { name: 'parts', keep: true, size_bytes: bytes.length, file_name: 'rows.npy' })
const putPart = async (plan: Awaited<ReturnType<typeof begin>>) => {
  const url = new URL(plan.parts[0]?.url ?? '')
  const query = { expires: url.searchParams.get('expires') ?? '', signature: url.searchParams.get('signature') ?? '' }
  const request = { upload_id: url.pathname.split('/')[2] ?? '', number: 1, ...query }
  return [{ number: 1, ...(await putUploadPart(store, request, Readable.from([bytes]))) }]
}
const running = (artifact: string, status: 'optimizing' | 'failed') =>
  OptimizedModel.parse({
    ...{ id: 'opt_1', organization_id: 'org_1', original_model_id: 'mod_1', optimization_method: 'auto', status },
    ...{ storage_path: null, size_reduction_percentage: null, latency_reduction_percentage: null, target_met: null },
    ...{ accuracy_change_percentage: null, accuracy_source: null, created_at: 'now', updated_at: 'now', metadata: {} },
    ...{ target_size_bytes: null, target_latency_ms: null, attempts: [], size_bytes: null, sha256: null, compute_seconds: 0 },
    ...{ calibration_artifact: null, evaluation_artifact: artifact },
  })

describe('a dataset', () => {
  it('is uploaded in one piece, described, listed and found by its owner alone', async () => {
    const made = await upload()
    expect(made).toMatchObject({
      name: 'rows',
      format: 'npy',
      rows: 5,
      arrays: [{ shape: [5, 4], datatype: '<f4' }],
      file_name: 'rows of mine.npy',
      size_bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      status: 'active',
      expires_at: '2027-02-18T10:00:00.000Z',
    })
    expect(made.storage_path).toBe(`datasets/org_1/${made.id}/rows-of-mine.npy`)
    expect(await getDataset(store, editor, made.id)).toEqual(made)
    expect((await listDatasets(store, editor, { format: 'npy' })).body).toEqual([made])
    expect((await listDatasets(store, editor, { format: 'npz' })).body).toEqual([])
    expect((await findDataset(store, 'org_1', made.id)).storage_path).toBe(made.storage_path)
    await expect(findDataset(store, 'org_2', made.id)).rejects.toMatchObject({ code: 'not_found' })
    expect((await listDatasets(store, editorOf('org_2'), { page: 1 })).body).toMatchObject({ data: [], statistics: { total: 0 } })
  })
  it('is uploaded in parts, and no model by that', async () => {
    const plan = await begin()
    const parts = await putPart(plan)
    await expect(completeUpload(store, editor, plan.dataset_id, parts)).rejects.toMatchObject({ code: 'not_found' })
    const made = await completeDatasetUpload(store, editor, plan.dataset_id, parts)
    expect(made).toMatchObject({ id: plan.dataset_id, name: 'parts', rows: 5, expires_at: null })
    expect(await completeDatasetUpload(store, editor, plan.dataset_id, parts)).toEqual(made)
    expect((await listDatasets(store, editor, { page: 1 })).body).toMatchObject({
      statistics: { total: 1, by_status: { active: 1 } },
    })
  })
  it('that is none leaves nothing behind', async () => {
    await expect(upload(Buffer.from('no rows'))).rejects.toMatchObject({ code: 'invalid_request' })
    expect(store.files()).toEqual([])
    expect(await store.documents()).toEqual([])
    await expect(upload(new Uint8Array(1_000_001))).rejects.toMatchObject({ code: 'payload_too_large' })
    expect(store.files()).toEqual([])
  })
  it('whose parts never came is swept', async () => {
    await putPart(await begin())
    later(3)
    expect(await sweepUploads(store)).toBe(1)
    expect(store.files()).toEqual([])
    expect(await store.documents()).toEqual([])
  })
  it('is deleted at once, its bytes a day later', async () => {
    const { id } = await upload()
    expect(await deleteDataset(store, editor, id)).toEqual({ message: `Dataset ${id} deleted successfully` })
    await expect(getDataset(store, editor, id)).rejects.toMatchObject({ code: 'not_found' })
    await expect(deleteDataset(store, editor, id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await sweepDatasets(store)).toBe(0)
    expect(store.files()).toHaveLength(1)
    later(1.1)
    expect(await sweepDatasets(store)).toBe(1)
    expect(store.files()).toEqual([])
    expect((await store.documents()).filter((sk) => /^(deleted-)?dataset#/.test(sk))).toEqual([])
  })
  it('keeps its bytes while an optimisation reads them', async () => {
    const { id, storage_path } = await upload()
    const [version = ''] = await store.records.write([putOptimization(running(storage_path, 'optimizing'), 'absent')])
    await deleteDataset(store, editor, id)
    later(2)
    expect(await sweepDatasets(store)).toBe(0)
    expect(store.files()).toHaveLength(1)
    await store.records.write([putOptimization(running(storage_path, 'failed'), { version })])
    expect(await sweepDatasets(store)).toBe(1)
    expect(store.files()).toEqual([])
  })
  it('goes by itself after 90 days unless it is kept', async () => {
    const [gone, kept, kept_later] = [await upload(), await upload(bytes, true), await upload()]
    later(80)
    expect(await updateDataset(store, editor, kept_later.id, { keep: true, name: 'kept' })).toMatchObject({
      expires_at: null,
      name: 'kept',
    })
    later(11)
    await sweepDatasets(store)
    const left = (await listDatasets(store, editor, {})).body
    expect(left).toMatchObject([{ id: kept_later.id }, { id: kept.id }])
    await expect(getDataset(store, editor, gone.id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await updateDataset(store, editor, kept.id, { keep: false })).toMatchObject({ expires_at: '2027-05-20T10:00:00.000Z' })
    later(2)
    expect(await sweepDatasets(store)).toBe(1)
    expect(store.files()).toHaveLength(2)
  })
})
