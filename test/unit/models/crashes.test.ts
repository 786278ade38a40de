import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { beginUpload } from '../../../layers/core/usecases/begin-upload.ts'
import { completeUpload } from '../../../layers/core/usecases/complete-upload.ts'
import { countsByStatus } from '../../../layers/core/usecases/count-by-status.ts'
import { deleteModel } from '../../../layers/core/usecases/delete-model.ts'
import { listModels } from '../../../layers/core/usecases/list-models.ts'
import { putUploadPart } from '../../../layers/core/usecases/put-upload-part.ts'
import { sweepModels } from '../../../layers/core/usecases/sweep-models.ts'
import { sweepUploads } from '../../../layers/core/usecases/sweep-uploads.ts'
import { uploadModel } from '../../../layers/core/usecases/upload-model.ts'
import { editorOf, type ModelStore, modelStore, prefixInspector } from '../../support/model-store.ts'

const editor = editorOf('org_1')
const DAY_MS = 86_400_000

/**
 * The store of a host that dies at its n-th effect: before it (`after` false) or right after it, unacknowledged. From then on
 * nothing works, cleaning up included. Answers whether it died.
 */
function mortal(store: ModelStore, nth: number, after: boolean) {
  const life = { effects: 0, dead: false }
  const effect =
    <Input extends unknown[], Output>(act: (...input: Input) => Promise<Output>) =>
    async (...input: Input): Promise<Output> => {
      if (life.dead) throw new Error('the host is dead')
      life.effects += 1
      if (life.effects !== nth) return act(...input)
      life.dead = true
      if (after) await act(...input)
      throw new Error('the host died')
    }
  const { artifacts, records } = store
  const host = {
    ...store,
    records: { ...records, write: effect(records.write) },
    artifacts: {
      ...artifacts,
      put: effect(artifacts.put),
      remove: effect(artifacts.remove),
      beginUpload: effect(artifacts.beginUpload),
      completeUpload: effect(artifacts.completeUpload),
      abortUpload: effect(artifacts.abortUpload),
    },
  }
  return { host, life }
}

const upload = (store: ModelStore, bytes: string) =>
  uploadModel(store, editor, async (receive) => {
    await receive({ file_name: 'a.onnx', bytes: Readable.from([Buffer.from(bytes)]) })
    return { name: 'a', framework: 'onnx', version: '1', metadata: {} }
  })

async function uploadInParts(store: ModelStore, bytes: string) {
  const plan = await beginUpload(store, editor, {
    name: 'a',
    framework: 'onnx',
    version: '1',
    size_bytes: bytes.length,
    metadata: {},
  })
  const url = new URL(plan.parts[0]?.url ?? '')
  const request = {
    upload_id: url.pathname.split('/')[2] ?? '',
    number: 1,
    expires: url.searchParams.get('expires') ?? '',
    signature: url.searchParams.get('signature') ?? '',
  }
  const { etag } = await putUploadPart(store, request, Readable.from([Buffer.from(bytes)]))
  return completeUpload(store, editor, plan.model_id, [{ number: 1, etag }])
}

/** After the next start and two days of sweeps: how many models live, and that everything else is consistent with that. */
async function survivors(store: ModelStore): Promise<number> {
  await sweepUploads(store, { host_restarted: true })
  store.clock.at = new Date(store.clock.at.getTime() + 2 * DAY_MS)
  await sweepUploads(store)
  await sweepModels(store)
  // Parts of which the records never heard are the artifacts' own to sweep; they do it when the next upload begins.
  const { upload_id } = await store.artifacts.beginUpload('models/next', 1)
  await store.artifacts.abortUpload('models/next', upload_id)
  const { body } = await listModels(store, editor, {})
  if (!Array.isArray(body)) throw new Error('wanted the plain array')
  expect(store.files()).toHaveLength(body.length)
  for (const model of body) expect(await store.artifacts.stat(model.storage_path)).toEqual({ size_bytes: model.size_bytes })
  expect(await countsByStatus(store, 'org_1', 'model')).toEqual(body.length > 0 ? { active: body.length } : {})
  expect((await store.documents()).filter((sk) => !/^(count-|model#|deleted-model#)/.test(sk))).toEqual([])
  expect(store.warnings.filter((warning) => !warning.startsWith('upload left'))).toEqual([])
  return body.length
}

const work = { 'a form': upload, 'an upload in parts': uploadInParts }
const files = { 'a model': 'ONNX and more', 'no model': 'TRASH' }
const cases = Object.keys(work).flatMap((way) =>
  Object.keys(files).flatMap((what) =>
    [false, true].map((after) => ({ way, what, after, when: after ? 'right after' : 'before' })),
  ),
)

describe('a host that dies at any effect leaves a whole model or nothing', () => {
  test.each(cases)('$way of $what, dying $when', async ({ way, what, after }) => {
    const run = way === 'a form' ? upload : uploadInParts
    const bytes = what === 'a model' ? files['a model'] : files['no model']
    let died = true
    for (let nth = 1; died; nth += 1) {
      const store = modelStore(prefixInspector((path) => readFileSync(path, 'latin1')))
      const { host, life } = mortal(store, nth, after)
      const acknowledged = await run(host, bytes).then(
        () => true,
        () => false,
      )
      died = life.dead
      const alive = await survivors(store)
      if (acknowledged) expect(alive).toBe(1)
      if (what === 'no model') expect(alive).toBe(0)
      if (!died) expect([acknowledged, nth]).toEqual([what === 'a model', life.effects + 1])
      store.close()
    }
  })

  test.each([false, true])('a deletion and its sweep (after: %s)', async (after) => {
    let died = true
    for (let nth = 1; died; nth += 1) {
      const store = modelStore(prefixInspector((path) => readFileSync(path, 'latin1')))
      const { model_id } = await upload(store, files['a model'])
      const { host, life } = mortal(store, nth, after)
      const acknowledged = await deleteModel(host, editor, model_id).then(
        () => true,
        () => false,
      )
      store.clock.at = new Date(store.clock.at.getTime() + 2 * DAY_MS)
      await sweepModels(host).catch(() => 0)
      died = life.dead
      store.warnings.length = 0
      const alive = await survivors(store)
      if (acknowledged) expect(alive).toBe(0)
      store.close()
    }
  })
})

describe('a sweep that meets the completion of an upload whose time just ran out', () => {
  test.each([1, 2])('leaves a whole model or nothing when the completion ends before effect %i of the sweep', async (nth) => {
    const inspected = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    const store = modelStore({
      ...prefixInspector(() => ''),
      inspect: async () => {
        reached.resolve()
        await inspected.promise
        return { format: 'onnx' }
      },
    })
    const completion = uploadInParts(store, files['a model']).then(
      () => true,
      () => false,
    )
    await reached.promise
    store.clock.at = new Date(store.clock.at.getTime() + 2 * DAY_MS)
    let effects = 0
    const meeting =
      <Input extends unknown[]>(act: (...input: Input) => Promise<void>) =>
      async (...input: Input): Promise<void> => {
        effects += 1
        if (effects === nth) {
          inspected.resolve()
          await completion
        }
        return act(...input)
      }
    const { artifacts } = store
    const swept = { ...artifacts, abortUpload: meeting(artifacts.abortUpload), remove: meeting(artifacts.remove) }
    await sweepUploads({ ...store, artifacts: swept })
    inspected.resolve()
    const acknowledged = await completion
    expect(await survivors(store)).toBe(acknowledged ? 1 : 0)
    store.close()
  })
})
