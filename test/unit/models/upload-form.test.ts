import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readUploadForm } from '../../../functions/entry/upload.ts'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { modelArtifact } from '../../../layers/core/domain/model.ts'
import { baseName } from '../../../layers/core/domain/upload.ts'
import { getModel } from '../../../layers/core/usecases/get-model.ts'
import { uploadModel } from '../../../layers/core/usecases/upload-model.ts'
import { BOUNDARY, type FormPart, field, file, formBytes, formCall } from '../../support/forms.ts'
import { editorOf, type ModelStore, modelStore, prefixInspector } from '../../support/model-store.ts'

const editor = editorOf('org_1')
const fields = [field('name', 'digits'), field('framework', 'onnx'), field('version', '1.0')]
const bytes = `ONNX${'x'.repeat(500)}`
let store: ModelStore
beforeEach(() => {
  store = modelStore(
    prefixInspector((path) => readFileSync(path, 'latin1')),
    100_000,
  )
})
afterEach(() => store.close())

const upload = (call: { headers: Record<string, string>; body: Readable }) =>
  uploadModel(store, editor, (receive) => readUploadForm(call, store.config.max_upload_bytes, receive))
const send = (parts: FormPart[], chunk_bytes?: number) => upload(formCall(formBytes(parts), chunk_bytes))
const failure = async (answer: Promise<unknown>): Promise<PlatformError> => {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof PlatformError)) throw new Error(`wanted a PlatformError, got ${String(error)}`)
  return error
}
const expectNothingLeft = async () =>
  expect({ files: store.files(), documents: await store.documents(), warnings: store.warnings }).toEqual({
    files: [],
    documents: [],
    warnings: [],
  })

describe('a form becomes a model', () => {
  const orders = {
    first: [file(bytes), ...fields],
    between: [fields[0]!, file(bytes), fields[1]!, fields[2]!],
    last: [...fields, file(bytes)],
  }
  test.each(Object.entries(orders))('with the file %s', async (_, parts) => {
    const reply = await send([...parts, field('metadata', '{"key":"value"}')])
    expect(reply).toMatchObject({
      name: 'digits',
      framework: 'onnx',
      version: '1.0',
      status: 'active',
      size_bytes: bytes.length,
      inspection: { format: 'onnx' },
    })
    expect(reply.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(await getModel(store, editor, reply.model_id)).toMatchObject({
      id: reply.model_id,
      metadata: { key: 'value' },
      file_name: 'model.onnx',
      storage_path: reply.storage_path,
    })
    expect(await store.artifacts.stat(reply.storage_path)).toEqual({ size_bytes: bytes.length })
    expect((await store.documents()).filter((sk) => !sk.startsWith('count-'))).toEqual([`model#${reply.model_id}`])
  })
  test.each([1, 2, 7, 61])('whatever way it is cut on the wire (%i bytes)', async (chunk_bytes) => {
    const reply = await send([fields[0]!, file(bytes), fields[1]!, fields[2]!], chunk_bytes)
    expect(reply.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
  })
  test('with a file sent as text without a name, and metadata sent as a file', async () => {
    const reply = await send([...fields, field('file', bytes), { name: 'metadata', value: '{"a":[1]}', file_name: 'meta.json' }])
    expect(await getModel(store, editor, reply.model_id)).toMatchObject({ file_name: 'model', metadata: { a: [1] } })
  })
  test('as fetch sends it', async () => {
    const form = new FormData()
    for (const { name, value } of fields) form.append(name ?? '', String(value))
    form.append('file', new Blob([bytes]), 'modèle ünï.onnx')
    const request = new Request('http://127.0.0.1', { method: 'POST', body: form })
    const body = Readable.from([Buffer.from(await request.arrayBuffer())], { objectMode: false })
    const reply = await upload({ headers: Object.fromEntries(request.headers), body })
    expect(await getModel(store, editor, reply.model_id)).toMatchObject({ file_name: 'modèle ünï.onnx' })
  })
})

describe('a form is refused and leaves nothing behind', () => {
  const wrong: [what: string, parts: FormPart[], pointers: string[]][] = [
    ['a missing name', [...fields.slice(1), file(bytes)], ['/name']],
    ['two missing fields', [fields[2]!, file(bytes)], ['/name', '/framework']],
    ['no file', fields, ['/file']],
    ['an unknown field', [...fields, file(bytes), field('colour', 'red')], ['/colour']],
    ['unknown fields beside a missing file', [...fields, field('a', '1'), field('b', '2')], ['/a', '/b', '/file']],
    ['a field that stands twice', [file(bytes), ...fields, field('name', 'other')], ['/name']],
    ['two files', [...fields, file(bytes), file(bytes)], ['/file']],
    [
      'an unknown framework',
      [field('name', 'a'), field('framework', 'caffe'), field('version', '1'), file(bytes)],
      ['/framework'],
    ],
    ['an empty name', [field('name', ''), fields[1]!, fields[2]!, file(bytes)], ['/name']],
    ['a name with control characters', [field('name', 'a\nb'), fields[1]!, fields[2]!, file(bytes)], ['/name']],
    ['metadata that is an array', [...fields, file(bytes), field('metadata', '[1]')], ['/metadata']],
    ['metadata that is no JSON', [...fields, file(bytes), field('metadata', '{a:1}')], ['/metadata']],
    ['metadata with a key twice', [...fields, file(bytes), field('metadata', '{"a":1,"a":2}')], ['/metadata']],
    [
      'metadata nested deep',
      [...fields, file(bytes), field('metadata', `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`)],
      ['/metadata'],
    ],
    [
      'fields named like object members',
      [...fields, file(bytes), field('__proto__', 'x'), field('constructor', 'y')],
      ['/__proto__', '/constructor'],
    ],
  ]
  test.each(wrong)('%s', async (_, parts, pointers) => {
    const error = await failure(send(parts))
    expect(error.code).toBe('invalid_request')
    expect(error.extras.errors?.map(({ pointer }) => pointer)).toEqual(pointers)
    await expectNothingLeft()
  })

  test('cut off at any byte', async () => {
    const whole = formBytes([fields[0]!, file('ONNX1234'), fields[1]!, fields[2]!])
    // The last two bytes are the line break after the closing boundary, which nobody needs.
    for (let length = 0; length <= whole.length - 3; length += 1) {
      const error = await failure(upload(formCall(whole.subarray(0, length), 16)))
      expect([length, error.code]).toEqual([length, 'malformed_body'])
    }
    await expectNothingLeft()
  })

  test('whose client goes away in the middle of the file', async () => {
    const whole = formBytes([...fields, file(bytes)])
    const body = new Readable({ read() {} })
    const answer = failure(upload({ headers: formCall(whole).headers, body }))
    body.push(whole.subarray(0, whole.length - 200))
    while (store.files().length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    body.destroy()
    expect((await answer).code).toBe('upload_incomplete')
    await expectNothingLeft()
  })

  test('that is no form at all', async () => {
    for (const type of ['multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary=x']) {
      expect((await failure(upload({ ...formCall(formBytes(fields)), headers: { 'content-type': type } }))).code).toBe(
        'malformed_body',
      )
    }
    expect((await failure(upload(formCall(Buffer.from(`--${BOUNDARY}--\r\n`))))).extras.errors).toHaveLength(1)
    expect((await failure(send([...fields, file(bytes), { value: 'nameless' }]))).code).toBe('malformed_body')
    expect((await failure(send([...fields, ...Array.from({ length: 40 }, (_, at) => field(`f${at}`, ''))]))).code).toBe(
      'malformed_body',
    )
    await expectNothingLeft()
  })

  test('over the limit: by its declared length without reading, or as soon as more arrives', async () => {
    const declared = formCall(formBytes([...fields, file(bytes)]), 1024, { 'content-length': '10000000000' })
    expect((await failure(upload(declared))).code).toBe('payload_too_large')
    expect(declared.body.readableDidRead).toBe(false)
    expect((await failure(send([...fields, file(`ONNX${'x'.repeat(100_000)}`)]))).code).toBe('payload_too_large')
    expect((await failure(send([...fields, field('metadata', 'x'.repeat(300_000))]))).code).toBe('payload_too_large')
    for (const before of [[], [fields[0]!, file('ONNX')]]) {
      const start = formBytes([...before, fields[1]!])
      expect((await failure(upload({ headers: formCall(start).headers, body: endless(start.subarray(0, -50)) }))).code).toBe(
        'payload_too_large',
      )
    }
    const inFile = formBytes([file('ONNX')])
    expect((await failure(upload({ headers: formCall(inFile).headers, body: endless(inFile.subarray(0, -40)) }))).code).toBe(
      'payload_too_large',
    )
    expect(await send([...fields, file(`ONNX${'x'.repeat(99_996)}`)])).toMatchObject({ size_bytes: 100_000 })
  })

  test('when the file is no model', async () => {
    expect(await failure(send([file('TRASH'), ...fields]))).toMatchObject({
      code: 'invalid_model',
      extras: { facts: { reason: 'not_a_model' } },
    })
    await expectNothingLeft()
  })

  test('when the disk is full', async () => {
    const full = {
      ...store,
      artifacts: { ...store.artifacts, put: async () => Promise.reject(new PlatformError('storage_full', 'no space left')) },
    }
    const call = formCall(formBytes([file(bytes), ...fields]))
    expect((await failure(uploadModel(full, editor, (receive) => readUploadForm(call, 100_000, receive)))).code).toBe(
      'storage_full',
    )
    await expectNothingLeft()
  })

  test('when the record cannot be written', async () => {
    const broken = { ...store, records: { ...store.records, write: failing(store.records.write, 2) } }
    const call = formCall(formBytes([file(bytes), ...fields]))
    expect((await failure(uploadModel(broken, editor, (receive) => readUploadForm(call, 100_000, receive)))).code).toBe(
      'unavailable',
    )
    await expectNothingLeft()
  })
})

/** A body that never ends. */
const endless = (start: Uint8Array): Readable =>
  Readable.from(
    (async function* () {
      yield start
      for (;;) {
        yield Buffer.alloc(65_536, 'x')
        await new Promise((resolve) => setImmediate(resolve))
      }
    })(),
    { objectMode: false },
  )

/** The n-th call fails. */
const failing = <Input, Output>(call: (input: Input) => Promise<Output>, nth: number) => {
  let calls = 0
  return (input: Input): Promise<Output> => {
    calls += 1
    return calls === nth ? Promise.reject(new PlatformError('unavailable', 'not now')) : call(input)
  }
}

test.each([
  ['../../etc/passwd', 'passwd'],
  ['..\\..\\windows\\system32\\cmd.exe', 'cmd.exe'],
  ['/absolute/model.onnx', 'model.onnx'],
  ['C:\\models\\m.onnx', 'm.onnx'],
  ['..', 'model'],
  ['...', 'model'],
  ['/', 'model'],
  ['', 'model'],
  ['.bashrc', 'bashrc'],
  ['a\0b.onnx', 'ab.onnx'],
  ['\u202egnp.onnx', 'gnp.onnx'],
  ['c:model', 'cmodel'],
  ['%2e%2e%2fx', '%2e%2e%2fx'],
  ['..%2f..%2fx', '%2f..%2fx'],
  ['  spaced .onnx ', 'spaced .onnx'],
  ['模型.onnx', '模型.onnx'],
])('the file name %j is kept as %j, under a key that stays in its folder', (claimed, kept) => {
  expect(baseName(claimed)).toBe(kept)
  expect(modelArtifact('org_1', 'mod_1', baseName(claimed))).toMatch(/^models\/org_1\/mod_1\/[A-Za-z0-9_][A-Za-z0-9._-]*$/)
})

test('a file name of any length gets a key and a name of bounded length', () => {
  expect(baseName('é'.repeat(5000))).toHaveLength(200)
  expect(baseName(`a${' '.repeat(16_000)}b`)).toBe('a')
  expect(modelArtifact('org_1', 'mod_1', `${'a.'.repeat(5000)}onnx`).length).toBeLessThan(130)
})
