import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { UploadReply } from '../../layers/core/contract/routes/models.ts'
import { DeploymentReply } from '../../layers/core/domain/deployment.ts'
import { Model, ModelReply } from '../../layers/core/domain/model.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

let platform: Platform

beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
})

const stored = () =>
  readdirSync(join(platform.home, 'artifacts', 'objects'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)

/** As if the model had been uploaded four days ago. */
const backdate = async (id: string): Promise<void> => {
  const records = sqliteRecords({ path: join(platform.home, 'records.sqlite'), now: () => new Date() })
  const { items } = await records.query({ index: 'lookup', pk: 'organizations' })
  const pk = items[0]?.pk ?? ''
  const found = await records.get({ pk, sk: `model#${id}` })
  const created_at = new Date(Date.now() - 4 * 86_400_000).toISOString()
  const body = { ...Model.parse(found?.body), created_at }
  await records.write([{ put: { pk, sk: `model#${id}`, body: JSON.parse(JSON.stringify(body)) }, expect: 'any' }])
  records.close()
}

test('a model nobody serves is compressed by the real host, and is served again as if nothing had been', async () => {
  const bytes = Buffer.from(denseModel([8, 512, 4]))
  const { model_id } = UploadReply.parse((await platform.upload('digits.onnx', bytes)).body)
  const read = async () => ModelReply.parse((await platform.call('GET', `/models/${model_id}`)).body)
  expect((await read()).storage).toBeUndefined()
  await platform.stop()
  await backdate(model_id)
  platform = await startPlatform({ home: platform.home })
  const { storage } = await eventually(read, (model) => model.storage?.form === 'compressed')
  expect(storage).toMatchObject({ form: 'compressed', deletion_announced_at: null, deletes_at: null })
  const [file = ''] = stored()
  expect(stored()).toHaveLength(1)

  const resource_requirements = { cpu: '1', memory: '512Mi', gpu: null, timeout: 30 }
  const wanted = { name: 'digits', model_id, deployment_type: 'serverless', resource_requirements }
  const { id } = DeploymentReply.parse((await platform.call('POST', '/deployments', wanted)).body)
  const look = async () => DeploymentReply.parse((await platform.call('GET', `/deployments/${id}`)).body)
  expect(await eventually(look, ({ status }) => status === 'active' || status === 'failed', 45_000)).toMatchObject({
    status: 'active',
  })
  expect((await platform.call('POST', `/deployments/${id}/inference`, { inputs: [Array(8).fill(1)] })).status).toBe(200)
  expect((await read()).storage).toBeUndefined()
  expect(stored()).toEqual([file.replace('~zst', '')])
  expect(platform.output()).toContain('storage_decision')
})
