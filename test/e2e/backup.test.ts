import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as z from 'zod'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform, startPlatform } from '../support/platform.ts'

const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)
const Created = z.object({ id: z.string() })
const Outputs = z.object({ outputs: z.array(z.array(z.number())) })
const Status = z.object({ status: z.string() })
const input = { inputs: [[0.1, 0.2, 0.3, 0.4]] }

let folder: string
const started: Platform[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drill-'))
})
afterAll(async () => {
  for (const platform of started) {
    await platform.kill()
    await platform.remove()
  }
  await rm(folder, { recursive: true, force: true })
})

const start = async (options: Parameters<typeof startPlatform>[0] = {}): Promise<Platform> => {
  const platform = await startPlatform(options)
  started.push(platform)
  return platform
}

/** As `npm run backup -- FILE` and `npm run restore -- FILE` do. */
const command = (name: 'backup' | 'restore', home: string, file: string) =>
  run(join(root, 'node_modules/.bin/node'), ['--conditions=embedded', join(root, `bin/${name}.ts`), file], {
    env: { AIDEPLOY_HOME: home },
  })

it('brings a live platform back elsewhere: sign-in, models, and a deployment that answers as before', async () => {
  const platform = await start()
  const uploaded = await platform.upload('model.onnx', denseModel([4, 8, 2]))
  expect(uploaded.status, JSON.stringify(uploaded.body)).toBe(200)
  const { model_id } = z.object({ model_id: z.string() }).parse(uploaded.body)
  const wanted = { name: 'drill', model_id, model_type: 'original', deployment_type: 'serverless' }
  const created = await platform.call('POST', '/deployments', wanted)
  expect(created.status, JSON.stringify(created.body)).toBe(200)
  const { id } = Created.parse(created.body)
  const path = `/deployments/${id}`
  const active = await eventually(
    () => platform.call('GET', path),
    ({ body }) => Status.safeParse(body).data?.status === 'active',
  )
  expect(active.body).toMatchObject({ status: 'active' })
  const before = await platform.call('POST', `${path}/inference`, input)
  expect(before.status, JSON.stringify(before.body)).toBe(200)

  const model = await platform.call('GET', `/models/${model_id}`)
  expect(model.body).toMatchObject({ id: model_id, name: 'model' })
  const file = join(folder, 'platform.tar')
  expect((await command('backup', platform.home, file)).stdout).toContain('backed up')
  await expect(command('restore', platform.home, file)).rejects.toThrow('not empty')
  await platform.kill()
  await command('restore', join(folder, 'elsewhere'), file)

  const back = await start({ home: join(folder, 'elsewhere'), password: platform.password })
  expect((await back.call('GET', `/models/${model_id}`)).body).toEqual(model.body)
  const after = await eventually(
    () => back.call('POST', `${path}/inference`, input),
    ({ status }) => status === 200,
  )
  // The last bits depend on which of the two sessions (cold or prepacked) answered.
  const [wanted_outputs, outputs] = [Outputs.parse(before.body).outputs.flat(), Outputs.parse(after.body).outputs.flat()]
  expect(outputs).toHaveLength(2)
  for (const [at, value] of outputs.entries()) expect(value).toBeCloseTo(wanted_outputs[at] ?? Number.NaN, 6)
})
