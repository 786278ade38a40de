import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as z from 'zod'
import { s3Artifacts } from '../../layers/artifacts/s3.ts'
import type { Artifacts } from '../../layers/core/ports/artifacts.ts'
import { writeServingForm } from '../../layers/onnx/serving-form.ts'
import { dynamodbRecords } from '../../layers/records/dynamodb.ts'
import { withTransactions } from '../support/dynalite-transactions.ts'
import { createRecordsTable, dynamoClient, type Emulator, s3Client, startDynalite, startS3 } from '../support/emulators.ts'
import { hostedFunctions } from '../support/hosted-functions.ts'
import { inferText, type LambdaBench, lambdaBench, layer, remembered, runtimeCode } from '../support/lambda-bench.ts'
import { type LambdaCloud, startLambdaCloud } from '../support/lambda-cloud.ts'
import type { LambdaFunction } from '../support/lambda-environments.ts'
import { type LambdaHost, startLambda } from '../support/lambda-runtime.ts'
import { denseModel, twoInputModel, writeModel } from '../support/models.ts'
import { bundledRuntime, createBucket } from '../support/published-model.ts'

/** The deployer, the services it drives, and the model function itself: a real model answers at the end of it. */

let s3: Emulator
let dynamodb: Emulator
let runtime: Awaited<ReturnType<typeof bundledRuntime>>
let host: LambdaHost
let cloud: LambdaCloud
let bench: LambdaBench
let artifacts: Artifacts
let scratch_dir: string
beforeAll(async () => {
  ;[s3, dynamodb, runtime] = await Promise.all([startS3(), startDynalite().then(withTransactions), bundledRuntime()])
  await createRecordsTable(dynamoClient(dynamodb.endpoint), 'aideploy-test-records')
  const bucket = s3Client(s3.endpoint)
  await createBucket(bucket, 'aideploy-artifacts')
  const functions = new Map<string, LambdaFunction>()
  host = await startLambda({ functions, most: 4 })
  const extra = { AWS_ENDPOINT_URL_S3: s3.endpoint, AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint }
  const run = hostedFunctions(host, functions, { folder: runtime.folder }, extra)
  const code = new Set([`${runtimeCode.bucket}/${runtimeCode.key}`])
  cloud = await startLambdaCloud({ code, layers: new Set([layer]), run })
  scratch_dir = mkdtempSync(join(tmpdir(), 'aideploy-lambda-scratch-'))
  artifacts = s3Artifacts({ bucket: 'aideploy-artifacts', client: () => bucket, now: () => new Date(), scratch_dir })
  bench = lambdaBench(cloud.endpoint, { artifacts, writeServingForm })
})
afterAll(async () => {
  await host.stop()
  await Promise.all([cloud.stop(), s3.stop(), dynamodb.stop()])
  runtime.remove()
  bench.end()
  rmSync(scratch_dir, { recursive: true, force: true })
})

const withModel = async (revision: number, bytes: Uint8Array, endpoint_auth: 'none' | 'token') => {
  const key = `models/${revision}.onnx`
  await artifacts.put(key, createReadStream(writeModel(`${bench.dir}/models/${revision}.onnx`, bytes)))
  const target = await bench.target({ revision, endpoint_auth })
  return { ...target, model: { ...target.model, artifact: key, size_bytes: bytes.length, sha256: `sha of ${revision}` } }
}
const outputs = (text: string) => z.object({ outputs: z.unknown() }).parse(JSON.parse(text)).outputs

it('a model comes up, answers at its address and through the platform, is replaced, meters itself and goes', async () => {
  const first = await withModel(1, twoInputModel(), 'none')
  const up = remembered(first, await bench.deployer.deploy(first))
  const body = JSON.stringify({ inputs: { a: [[1, 2]], b: [[10, 20]] } })
  const direct = await fetch(up.deployment.endpoint ?? '', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  expect(direct.status).toBe(200)
  expect(outputs(await direct.text())).toEqual({ sum: [[11, 22]], difference: [[-9, -18]] })
  const through = await inferText(bench.deployer, up, body)
  expect(through.status).toBe(404)
  const bare = await bench.deployer.infer(up, {
    method: 'POST',
    path: '',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(body),
    request_id: 'req_2',
  })
  expect(bare.usage.memory_bytes).toBeGreaterThan(20e6)
  expect(bare.headers['x-aideploy-usage']).toBeUndefined()
  if (!(bare.body instanceof Uint8Array)) bare.body.resume()

  const second = await withModel(2, denseModel([4, 8, 3]), 'token')
  const replaced = remembered(second, await bench.deployer.deploy(second))
  expect(replaced.deployment.endpoint).toBe(up.deployment.endpoint)
  const refused = await fetch(`${replaced.deployment.endpoint}/`, { method: 'POST', body: '{"inputs":[[1,2,3,4]]}' })
  expect(refused.status).toBe(401)
  const platform = {
    ...(await bench.deployer.infer(replaced, {
      method: 'POST',
      path: '',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{"inputs":[[1,2,3,4]]}'),
      request_id: 'req_3',
    })),
  }
  expect(platform.status).toBe(200)
  if (!(platform.body instanceof Uint8Array)) platform.body.resume()

  const broken = await withModel(3, Buffer.from('not a model'), 'none')
  await expect(bench.deployer.deploy(broken)).rejects.toMatchObject({ code: 'invalid_model' })

  await host.stop()
  const records = dynamodbRecords({
    table: 'aideploy-test-records',
    client: () => dynamoClient(dynamodb.endpoint),
    now: () => new Date(),
  })
  const rows = (await records.query({ pk: 'usage#dep_1', from: 'minute#', to: 'minute#~' })).items.map(({ body: row }) => row)
  expect(rows.reduce((sum, { requests }) => sum + Number(requests), 0)).toBeGreaterThanOrEqual(3)
  expect(new Set(rows.map(({ organization_id }) => organization_id))).toEqual(new Set(['org_1']))

  await bench.deployer.undeploy(replaced)
  expect(await artifacts.list('deployments/')).toEqual([])
  expect(cloud.state.functions.size + cloud.state.roles.size + cloud.state.logGroups.size).toBe(0)
})
