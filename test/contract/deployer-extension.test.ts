import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadExtensions } from '../../layers/compose/extensions.ts'
import { deployerRegistry } from '../../layers/deployers/index.ts'
import { type HttpServer, startHttpServer } from '../../layers/serving/http-server.ts'
import { deployTarget } from '../support/deployments.ts'
import { twoInputModel, writeModel } from '../support/models.ts'

let dir: string
let server: HttpServer
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'extension-'))
  server = await startHttpServer({ model_path: writeModel(join(dir, 'two.onnx'), twoInputModel()), name: 'two' })
})
afterAll(async () => {
  await server.close()
  rmSync(dir, { recursive: true, force: true })
})

const file = (text: string): string => {
  const path = join(dir, `extension-${Math.random()}.ts`)
  writeFileSync(path, text)
  return path
}

describe('extensions', () => {
  test('the example deployer serves a model that runs elsewhere', async () => {
    const { deployers, optimizers } = await loadExtensions(['examples/custom-deployer.ts', ' '])
    expect(optimizers).toEqual([])
    const custom = deployerRegistry([], deployers).get('custom')!
    const base = deployTarget(join(dir, 'two.onnx'))
    const target = { ...base, deployment: { ...base.deployment, deployment_type: 'custom', metadata: { url: server.url } } }
    expect(await custom.deploy(target)).toEqual({ url: server.url })
    expect(await custom.status(target)).toMatchObject({ ready: true })
    const body = Buffer.from(JSON.stringify({ inputs: { a: [[1, 2]], b: [[3, 4]] } }))
    const reply = await custom.infer(target, {
      method: 'POST',
      path: '',
      headers: { 'content-type': 'application/json' },
      body,
      request_id: 'r',
    })
    expect(reply.status).toBe(200)
    expect(reply.body instanceof Uint8Array && JSON.parse(Buffer.from(reply.body).toString())).toEqual({
      outputs: { sum: [[4, 6]], difference: [[-2, -2]] },
    })
    const gone = { ...target, deployment: { ...target.deployment, metadata: { url: 'http://127.0.0.1:9' } } }
    await expect(custom.deploy(gone)).rejects.toMatchObject({ code: 'deployment_unavailable' })
    expect(custom.settings.safeParse({ metadata: {} }).success).toBe(false)
  })

  test('a type may come once', async () => {
    const { deployers } = await loadExtensions(['examples/custom-deployer.ts'])
    expect(() => deployerRegistry(deployers, deployers)).toThrow(/Two deployers say they are of type 'custom'/)
  })

  test('what is wrong with an extension is said by file and member', async () => {
    await expect(loadExtensions(['./no/such/file.ts'])).rejects.toThrow(/Extension \.\/no\/such\/file\.ts: cannot be loaded/)
    await expect(loadExtensions([file('export const x = 1')])).rejects.toThrow(
      /wanted 'export const deployers' or 'export const optimizers'/,
    )
    await expect(loadExtensions([file('export const deployers = 7')])).rejects.toThrow(/as an array, got number/)
    await expect(loadExtensions([file('export const deployers = [{ type: "Custom", summary: "" }]')])).rejects.toThrow(
      /deployers\.0\.type: wanted lower-case letters.*deployers\.0\.deploy: wanted a function/,
    )
    await expect(loadExtensions([file('export const optimizers = [{ name: "x", method: "magic" }]')])).rejects.toThrow(
      /optimizers\.0\.method/,
    )
  })
})
