import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DatasetPlanReply } from '../../layers/core/contract/routes/datasets.ts'
import { DatasetReply } from '../../layers/core/domain/dataset.ts'
import { npyBytes, npzBytes } from '../support/arrays.ts'
import { faults, type Platform, startPlatform } from '../support/platform.ts'
import { floatRows } from '../support/row-files.ts'
import { sendDataset } from '../support/tenants.ts'

/** Datasets over HTTP, as callers send them. */

const rows = npzBytes(
  { 'x.npy': npyBytes('<f4', [6, 3], floatRows([6, 3])), 'labels.npy': npyBytes('|u1', [6], new Uint8Array(6)) },
  8,
)
let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  expect(faults(platform)).toEqual([])
  await platform.stop()
  await platform.remove()
})

describe('datasets', () => {
  it('come as a form, are seen, kept and deleted', async () => {
    const sent = await sendDataset(platform, 'rows.npz', rows, { name: 'rows', keep: 'true' })
    expect(sent.status, JSON.stringify(sent.body)).toBe(200)
    const made = DatasetReply.parse(sent.body)
    expect(made).toMatchObject({ format: 'npz', rows: 6, expires_at: null, size_bytes: rows.length })
    expect(made.arrays.map(({ name }) => name)).toEqual(['x', 'labels'])
    expect(await platform.call('GET', `/datasets/${made.id}`)).toMatchObject({ status: 200, body: made })
    expect(await platform.call('GET', '/datasets?format=npz')).toMatchObject({ status: 200, body: [made] })
    const freed = await platform.call('PATCH', `/datasets/${made.id}`, { keep: false, name: 'old rows' })
    expect(freed).toMatchObject({ status: 200, body: { name: 'old rows', expires_at: expect.stringMatching(/Z$/) } })
    expect(await platform.call('DELETE', `/datasets/${made.id}`)).toMatchObject({
      status: 200,
      body: { message: `Dataset ${made.id} deleted successfully` },
    })
    expect(await platform.call('GET', `/datasets/${made.id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })
  it('come in parts', async () => {
    const begun = await platform.call('POST', '/datasets', { name: 'large', size_bytes: rows.length })
    const { dataset_id, parts } = DatasetPlanReply.parse(begun.body)
    const put = await fetch(parts[0]?.url ?? '', { method: 'PUT', body: new Uint8Array(rows) })
    const etag = put.headers.get('etag') ?? ''
    const done = await platform.call('POST', `/datasets/${dataset_id}/complete`, { parts: [{ number: 1, etag }] })
    expect(done).toMatchObject({ status: 200, body: { id: dataset_id, name: 'large', file_name: 'data', rows: 6 } })
    expect(await platform.call('POST', `/models/${dataset_id}/complete`, { parts: [{ number: 1, etag }] })).toMatchObject({
      status: 404,
    })
  })
  it.each([
    ['an unknown field', { name: 'a', framework: 'onnx' }, '/framework', 'is not known; wanted name, keep, file'],
    ['no name', {}, '/name', 'expected string'],
    ['a keep that is neither', { name: 'a', keep: 'yes' }, '/keep', 'expected boolean'],
  ])('with %s are refused', async (_, fields, pointer, detail) => {
    const { status, body } = await sendDataset(platform, 'rows.npz', rows, fields)
    expect(status).toBe(422)
    expect(body).toMatchObject({ errors: [{ pointer, detail: expect.stringContaining(detail) }] })
  })
  it('that hold no rows are refused with what is wrong', async () => {
    expect(await sendDataset(platform, 'rows.npz', rows.subarray(0, rows.length - 30))).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', detail: expect.stringContaining('without its directory'), reason: 'truncated' },
    })
    const zeros = (rows: number) => npyBytes('<f4', [rows, 4], new Uint8Array(rows * 16))
    const of = (rows: number, labels: number) =>
      npzBytes({ 'x.npy': zeros(rows), 'labels.npy': npyBytes('|u1', [labels], new Uint8Array(labels)) }, 8)
    for (const [file, detail] of [
      [zeros(0), 'The array holds no rows: its shape is [0,4]'],
      [of(100, 50), 'There are 50 labels for 100 rows; wanted one for each'],
    ] as const)
      expect(await sendDataset(platform, 'rows.npz', file, { name: 'rows' })).toMatchObject({
        status: 422,
        body: { code: 'invalid_request', detail: expect.stringContaining(detail) },
      })
    expect(await platform.call('GET', '/datasets?name=rows')).toMatchObject({ status: 200, body: [] })
  })
})
