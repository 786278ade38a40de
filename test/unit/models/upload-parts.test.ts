import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { UploadPlanReply } from '../../../layers/core/contract/routes/models.ts'
import { beginUpload } from '../../../layers/core/usecases/begin-upload.ts'
import { completeUpload } from '../../../layers/core/usecases/complete-upload.ts'
import { getModel } from '../../../layers/core/usecases/get-model.ts'
import { listModels } from '../../../layers/core/usecases/list-models.ts'
import { putUploadPart } from '../../../layers/core/usecases/put-upload-part.ts'
import { sweepUploads } from '../../../layers/core/usecases/sweep-uploads.ts'
import { uploadModel } from '../../../layers/core/usecases/upload-model.ts'
import { editorOf, type ModelStore, modelStore, prefixInspector } from '../../support/model-store.ts'

const editor = editorOf('org_1')
const PART_BYTES = 8 * 2 ** 20
/** Two parts, the second one short. */
const bytes = Buffer.concat([Buffer.from('ONNX'), Buffer.alloc(PART_BYTES, 7)])
const sha256 = createHash('sha256').update(bytes).digest('hex')
let store: ModelStore
beforeEach(() => {
  store = modelStore(
    prefixInspector((path) => readFileSync(path).subarray(0, 4).toString('latin1')),
    20_000_000,
  )
})
afterEach(() => store.close())

const announced = {
  name: 'large',
  framework: 'onnx' as const,
  version: '2',
  size_bytes: bytes.length,
  file_name: 'large.onnx',
  metadata: { a: 1 },
}
const begin = (change: object = {}) => beginUpload(store, editor, { ...announced, ...change })
const put = async (plan: UploadPlanReply, number: number, content: Buffer = bytes) => {
  const url = new URL(plan.parts[number - 1]?.url ?? '')
  const [, , upload_id = ''] = url.pathname.split('/')
  const body = (async function* () {
    yield content.subarray((number - 1) * plan.part_size, number * plan.part_size)
  })()
  const request = {
    upload_id,
    number,
    expires: url.searchParams.get('expires') ?? '',
    signature: url.searchParams.get('signature') ?? '',
  }
  return { number, ...(await putUploadPart(store, request, body)) }
}
const putAll = async (plan: UploadPlanReply, content?: Buffer) => [await put(plan, 1, content), await put(plan, 2, content)]
const complete = (plan: UploadPlanReply, parts: { number: number; etag: string }[], principal = editor) =>
  completeUpload(store, principal, plan.model_id, parts)

describe('an upload in parts', () => {
  test('is a model once it is complete, and not before', async () => {
    const plan = await begin({ sha256 })
    expect(plan).toMatchObject({ part_size: PART_BYTES, parts: [{ number: 1 }, { number: 2 }] })
    const parts = await putAll(plan)
    await expect(getModel(store, editor, plan.model_id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await listModels(store, editor, {})).toMatchObject({ body: [] })
    const reply = await complete(plan, parts)
    expect(reply).toMatchObject({
      model_id: plan.model_id,
      name: 'large',
      status: 'active',
      size_bytes: bytes.length,
      sha256,
      inspection: { format: 'onnx' },
    })
    expect(await getModel(store, editor, plan.model_id)).toMatchObject({ file_name: 'large.onnx', metadata: { a: 1 } })
    expect(await listModels(store, editor, { page: 1 })).toMatchObject({
      body: { data: [{ id: plan.model_id }], statistics: { by_status: { active: 1 } } },
    })
    expect(await complete(plan, parts)).toEqual(reply)
    expect(store.files()).toHaveLength(1)
  })

  test('completed many times at once is one model with one answer', async () => {
    const plan = await begin()
    const parts = await putAll(plan)
    const answers = await Promise.allSettled(Array.from({ length: 6 }, () => complete(plan, parts)))
    const replies = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'conflict' })
    expect(replies.length).toBeGreaterThan(0)
    expect(await complete(plan, parts)).toEqual(replies[0])
    expect(await listModels(store, editor, { page: 1 })).toMatchObject({ body: { pagination: { total: 1 } } })
  })

  test('names the part that is missing or differs, and stays open', async () => {
    const plan = await begin()
    const one = await put(plan, 1)
    await expect(complete(plan, [one])).rejects.toMatchObject({
      code: 'upload_incomplete',
      message: expect.stringContaining('2'),
    })
    const two = await put(plan, 2)
    await expect(complete(plan, [one, { ...two, etag: one.etag }])).rejects.toMatchObject({
      code: 'upload_incomplete',
      message: expect.stringContaining('Part 2'),
    })
    await expect(complete(plan, [one, one, two])).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await complete(plan, [two, one])).toMatchObject({ sha256 })
  })

  test('whose hash is not the announced one is refused and stays open', async () => {
    const plan = await begin({ sha256: 'f'.repeat(64) })
    await expect(complete(plan, await putAll(plan))).rejects.toMatchObject({ code: 'upload_incomplete' })
    await expect(getModel(store, editor, plan.model_id)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('over the limit is refused before anything is reserved', async () => {
    await expect(begin({ size_bytes: 20_000_001 })).rejects.toMatchObject({ code: 'payload_too_large' })
    expect([store.files(), await store.documents()]).toEqual([[], []])
  })

  test('that is no model leaves nothing behind', async () => {
    const plan = await begin()
    const trash = Buffer.alloc(bytes.length, 1)
    await expect(complete(plan, await putAll(plan, trash))).rejects.toMatchObject({ code: 'invalid_model' })
    expect([store.files(), await store.documents()]).toEqual([[], []])
    await expect(complete(plan, [{ number: 1, etag: 'x' }])).rejects.toMatchObject({ code: 'not_found' })
  })

  test('of another organisation is as unknown as one that never was', async () => {
    const plan = await begin()
    const parts = await putAll(plan)
    const foreign = await complete(plan, parts, editorOf('org_2')).catch((error: unknown) => error)
    expect(foreign).toMatchObject({ code: 'not_found', message: `Model ${plan.model_id} was not found` })
  })

  test('goes on after a crash between joining and recording', async () => {
    const plan = await begin({ sha256 })
    const parts = await putAll(plan)
    const crash = { ...store, inspector: { ...store.inspector, inspect: () => Promise.reject(new Error('the host died here')) } }
    await expect(completeUpload(crash, editor, plan.model_id, parts)).rejects.toThrow('the host died here')
    expect(await complete(plan, parts)).toMatchObject({ sha256, status: 'active' })
    expect(store.files()).toHaveLength(1)
  })

  test('is not what a form was', async () => {
    const form = { name: 'a', framework: 'onnx' as const, version: '1', metadata: {} }
    const { model_id } = await uploadModel(store, editor, async (receive) => {
      await receive({ file_name: 'a.onnx', bytes: Readable.from([Buffer.from('ONNX')]) })
      return form
    })
    await expect(completeUpload(store, editor, model_id, [{ number: 1, etag: 'x' }])).rejects.toMatchObject({ code: 'conflict' })
  })
})

describe('the sweep', () => {
  test('removes parts past their time, and only those', async () => {
    const old = await begin()
    await put(old, 1)
    store.clock.at = new Date(new Date(old.expires_at).getTime() - 1000)
    const young = await begin()
    const parts = await putAll(young)
    expect(await sweepUploads(store)).toBe(0)
    store.clock.at = new Date(old.expires_at)
    await expect(complete(old, [{ number: 1, etag: 'x' }])).rejects.toMatchObject({ code: 'not_found' })
    expect(await sweepUploads(store)).toBe(1)
    expect(await sweepUploads(store, { host_restarted: true })).toBe(0)
    expect(await complete(young, parts)).toMatchObject({ sha256 })
    expect(store.files()).toHaveLength(1)
    expect(store.warnings).toEqual([])
  })

  test('removes the forms that a killed host was reading', async () => {
    const stored = Promise.withResolvers<void>()
    const stalled = uploadModel(store, editor, async (receive) => {
      const bytes = Readable.from([Buffer.from('ONNX')])
      await receive({ file_name: 'a.onnx', bytes })
      stored.resolve()
      return new Promise(() => {})
    })
    await stored.promise
    expect(await sweepUploads(store)).toBe(0)
    expect(store.files()).toHaveLength(1)
    expect(await sweepUploads(store, { host_restarted: true })).toBe(1)
    expect([store.files(), await store.documents()]).toEqual([[], []])
    expect(stalled).toBeInstanceOf(Promise)
  })
})
