import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ProbeReply, UsageHeader, usageHeader } from '../../layers/core/contract/model-function.ts'
import { readRecordedRows } from '../../layers/core/domain/recorded-rows.ts'
import { accessKeyKey, putAccessUser } from '../../layers/core/usecases/access-records.ts'
import { principal_fresh_ms } from '../../layers/core/usecases/kept-principals.ts'
import { counted, type ModelCloud, modelCloud } from '../support/model-cloud.ts'
import { denseModel, identityModel, twoInputModel } from '../support/models.ts'
import { binaryRequest, post } from '../support/serving.ts'

let cloud: ModelCloud
beforeAll(async () => {
  cloud = await modelCloud()
})
afterAll(() => cloud.stop())

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
const manyFloats = (count: number) => new Uint8Array(Float32Array.from({ length: count }, (_, at) => at % 977).buffer)

describe('the model function', () => {
  it('answers the bare form, the protocol, the binary extension and health over its own address', async () => {
    const { url, id } = await cloud.deploy(twoInputModel(), { name: 'sums & more' })
    const bare = await post(url, { inputs: { a: [[1, 2]], b: [[3, 5]] } })
    expect(JSON.parse(bare.text)).toEqual({ outputs: { sum: [[4, 7]], difference: [[-2, -3]] } })
    expect(bare.status).toBe(200)
    expect(bare.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(bare.headers.get(usageHeader)).toBeNull()
    const tensors = (['a', 'b'] as const).map((name) => ({
      name,
      datatype: 'FP32',
      shape: [1, 2],
      parameters: { binary_data_size: 8 },
    }))
    const head = { inputs: tensors, outputs: [{ name: 'sum', parameters: { binary_data: true } }] }
    const { body, headers } = binaryRequest(head, [floats(1, 2), floats(3, 5)])
    for (const name of [encodeURIComponent('sums & more'), id]) {
      const binary = await post(`${url}/v2/models/${name}/infer`, body, headers)
      const json_bytes = Number(binary.headers.get('inference-header-content-length'))
      expect(binary.status).toBe(200)
      expect(JSON.parse(binary.bytes.subarray(0, json_bytes).toString())).toMatchObject({
        model_name: 'sums & more',
        model_version: '1',
      })
      expect(new Uint8Array(binary.bytes.subarray(json_bytes))).toEqual(floats(4, 7))
    }
    const get = async (path: string) => {
      const reply = await fetch(`${url}${path}`)
      return { status: reply.status, body: await reply.json() }
    }
    expect(await get('/v2/health/live')).toEqual({ status: 200, body: { live: true } })
    expect(await get('/v2/health/ready')).toEqual({ status: 200, body: { ready: true } })
    expect(await get('/v2/models/other')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await get('/')).toMatchObject({ status: 405, body: { code: 'method_not_allowed' } })
    expect(await get('/elsewhere')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    const bad = await post(url, '{"inputs": nonsense')
    expect({ status: bad.status, body: JSON.parse(bad.text) }).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  })

  it('streams answers larger than Lambda would buffer, and refuses what cannot be streamed in time', async () => {
    const { url } = await cloud.deploy(identityModel('FP32', ['n', 1024]), { name: 'echo' })
    const rows = 1024
    const data = manyFloats(rows * 1024)
    const head = {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 1024], parameters: { binary_data_size: data.length } }],
      parameters: { binary_data_output: true },
    }
    const { body, headers } = binaryRequest(head, [data])
    const reply = await post(`${url}/v2/models/echo/infer`, body, headers)
    expect(reply.status).toBe(200)
    expect(hash('sha256', reply.bytes.subarray(-data.length), 'hex')).toBe(hash('sha256', data, 'hex'))
    expect((await post(url, Buffer.alloc(6 * 2 ** 20, 32), { 'content-type': 'text/plain' })).status).toBe(413)
  })

  it('answers direct invocation: a probe, and calls of the platform with what they used', async () => {
    const { id } = await cloud.deploy(denseModel([4, 8, 3]), { environment: { AIDEPLOY_ENDPOINT_AUTH: 'token' } })
    const probe = await cloud.host.invoke(id, { probe: true })
    expect(ProbeReply.parse(JSON.parse(probe.payload.toString()))).toEqual({ ready: true, revision: 1 })
    const call = {
      platform: true,
      version: '2.0',
      rawPath: '/',
      rawQueryString: '',
      headers: { 'content-type': 'application/json' },
      requestContext: { requestId: 'req_7', http: { method: 'POST', path: '/' } },
      body: Buffer.from('{"inputs":[[1,2,3,4]]}').toString('base64'),
      isBase64Encoded: true,
    }
    const usageOf = async () => {
      const { prelude, body } = await cloud.host.invokeStream(id, call)
      body.resume()
      expect(prelude).toMatchObject({ statusCode: 200, headers: { 'x-request-id': 'req_7' } })
      return UsageHeader.parse(JSON.parse(prelude?.headers?.[usageHeader] ?? ''))
    }
    const first = await usageOf()
    expect(first).toMatchObject({ cold: true, batch_size: 1 })
    expect(first.init_us).toBeGreaterThan(first.compute_us)
    expect(first.memory_bytes).toBeGreaterThan(20e6)
    expect(await usageOf()).toMatchObject({ cold: false, init_us: 0 })
    // The mark of the platform counts only beside the event's members, where no caller of the address can put it.
    const forged = await post(await cloud.host.url(id), { ...call, inputs: [[1, 2, 3, 4]] }, { platform: 'true' })
    expect(forged.status).toBe(401)
  })

  it('lets in who may call it, and refuses all others as the platform does', async () => {
    const { url, id } = await cloud.deploy(denseModel([4, 8, 3]), { environment: { AIDEPLOY_ENDPOINT_AUTH: 'token' } })
    const user = {
      id: 'usr_1',
      username: 'ada',
      organization_id: 'org_1',
      role: 'viewer' as const,
      token_epoch: 'e1',
      created_at: '2026-11-01T00:00:00Z',
      updated_at: '2026-11-01T00:00:00Z',
    }
    const keys = { good: 'ak_good', elsewhere: 'ak_elsewhere', late: 'ak_late', narrow: 'ak_narrow' }
    const policies = {
      good: undefined,
      elsewhere: { source_cidrs: ['192.0.2.0/24'] },
      late: { expires_at: '2020-01-01T00:00:00Z' },
      narrow: { resources: ['deployments/dep_other'] },
    }
    const keyAt = (text: string) => accessKeyKey('org_1', hash('sha256', text, 'hex'))
    await cloud.store([
      ...putAccessUser(user),
      ...(['good', 'elsewhere', 'late', 'narrow'] as const).map((name) => {
        const policy = policies[name]
        const body = { key_id: `key_${name}`, name, role: 'viewer', ...(policy && { policy }) }
        return { put: { ...keyAt(keys[name]), body }, expect: 'any' as const }
      }),
    ])
    const claims = { user_id: 'usr_1', username: 'ada', organization_id: 'org_1', epoch: 'e1' }
    const { token } = cloud.pool
    const ask = async (headers: Record<string, string>) => {
      const { status, text } = await post(url, { inputs: [[1, 2, 3, 4]] }, headers)
      return [status, status === 200 ? undefined : JSON.parse(text).code]
    }
    const bearer = (text: string) => ({ authorization: `Bearer ${text}` })
    expect(await ask({})).toEqual([401, 'unauthenticated'])
    expect(await ask(bearer(await token(claims)))).toEqual([200, undefined])
    expect(await ask(bearer(await token(claims, { expires: '-10m' })))).toEqual([401, 'token_expired'])
    expect(await ask(bearer(await token(claims, { audience: 'another client' })))).toEqual([401, 'unauthenticated'])
    expect(await ask(bearer(await token({ ...claims, epoch: 'e0' })))).toEqual([401, 'unauthenticated'])
    expect(await ask(bearer(await token({ ...claims, user_id: 'usr_gone' })))).toEqual([401, 'unauthenticated'])
    expect(await ask(bearer(await token({ ...claims, organization_id: 'org_2' })))).toEqual([404, 'not_found'])
    expect(await ask(bearer('no.jwt.atall'))).toEqual([401, 'unauthenticated'])
    expect(await ask({ 'x-api-key': keys.good })).toEqual([200, undefined])
    expect(await ask(bearer(keys.good))).toEqual([200, undefined])
    expect(await ask({ 'x-api-key': 'ak_unknown' })).toEqual([401, 'unauthenticated'])
    expect(await ask({ 'x-api-key': keys.elsewhere })).toEqual([403, 'policy_denied'])
    expect(await ask({ 'x-api-key': keys.late })).toEqual([401, 'token_expired'])
    expect(await ask({ 'x-api-key': keys.narrow })).toEqual([403, 'policy_denied'])
    await cloud.store([{ remove: keyAt(keys.good), expect: 'any' }])
    await pause(principal_fresh_ms + 100)
    expect(await ask({ 'x-api-key': keys.good })).toEqual([401, 'unauthenticated'])
    // Who was not let in costs the owner nothing.
    await cloud.host.recycle(id)
    expect(counted(await cloud.usageRows(id))).toMatchObject({ requests: 3, errors: 0 })
  })

  it('wants no credential where its endpoint is open, but refuses a wrong one', async () => {
    const { url } = await cloud.deploy(denseModel([4, 8, 3]))
    const ask = async (headers: Record<string, string>) => (await post(url, { inputs: [[1, 2, 3, 4]] }, headers)).status
    const stranger = { user_id: 'usr_9', username: 'eve', organization_id: 'org_2', epoch: 'e' }
    expect(await ask({})).toBe(200)
    expect(await ask({ 'x-api-key': 'ak_unknown' })).toBe(401)
    expect(await ask({ authorization: `Bearer ${await cloud.pool.token(stranger)}` })).toBe(200)
  })

  it('counts every call exactly once, written before it is frozen or when it is told to end', async () => {
    const { url, id } = await cloud.deploy(denseModel([4, 8, 3]))
    const first = await post(url, { inputs: [[1, 2, 3, 4]] })
    // Nothing can be relied on to run after the first quiet call, so its row is there already.
    await expect.poll(async () => counted(await cloud.usageRows(id)).requests).toBe(1)
    let bytes_out = first.bytes.length
    const bad = await post(url, { inputs: [[1]] })
    expect(bad.status).toBe(400)
    bytes_out += bad.bytes.length
    for (let call = 0; call < 30; call++) bytes_out += (await post(url, { inputs: [[call, 2, 3, 4]] })).bytes.length
    await fetch(`${url}/v2/health/ready`)
    await cloud.host.recycle(id)
    const rows = await cloud.usageRows(id)
    expect(counted(rows)).toEqual({ requests: 32, errors: 0, cold_starts: 1, bytes_out })
    for (const row of rows)
      expect(row).toMatchObject({ organization_id: 'org_1', deployment_type: 'serverless', revisions: [1], unpriced_requests: 0 })
  })

  it('writes one line per call that CloudWatch reads as metrics, by stage alone, and nothing secret', async () => {
    const { url, id } = await cloud.deploy(denseModel([4, 8, 3]))
    await post(url, { inputs: [[1, 2, 3, 4]] }, { 'x-private': 'do-not-log-me', cookie: 'do-not-log-me' })
    await cloud.host.recycle(id)
    const lines = cloud.host.logs(id).map((line) => JSON.parse(line))
    const request = lines.find(({ event }) => event === 'request')
    expect(request).toMatchObject({ stage: 'test', requests: 1, errors: 0, cold_starts: 1, deployment_id: id, status: 200 })
    const [{ Namespace, Dimensions, Metrics }] = request._aws.CloudWatchMetrics
    expect({ Namespace, Dimensions }).toEqual({ Namespace: 'AiDeploy', Dimensions: [['stage']] })
    for (const { Name } of Metrics) expect(typeof request[Name], Name).toBe('number')
    expect(cloud.host.logs(id).join('\n')).not.toMatch(/do-not-log-me|test-secret-of-the-role/)
  })

  it('keeps a sample of its inputs where it is told to, at once after a quiet time, and none elsewhere', async () => {
    const model = identityModel('FP32', ['n', 4])
    const [silent, keeping] = [
      await cloud.deploy(model),
      await cloud.deploy(model, { environment: { AIDEPLOY_RECORD_REQUESTS: '{"rows":16}' } }),
    ]
    for (const { url } of [silent, keeping])
      expect(
        (
          await post(url, {
            inputs: [
              [1, 2, 3, 4],
              [5, 6, 7, 8],
            ],
          })
        ).status,
      ).toBe(200)
    let kept: Record<string, Uint8Array> = {}
    for (let turn = 0; turn < 100 && Object.keys(kept).length === 0; turn += 1) {
      await pause(50)
      kept = await cloud.recordedOf(keeping.id)
    }
    const [[key = '', file = new Uint8Array()] = []] = Object.entries(kept)
    expect(key).toMatch(new RegExp(`^samples/org_1/${keeping.id}/[0-9a-z]{9}-[0-9a-f]{8}\\.rows$`))
    expect(readRecordedRows(file)).toMatchObject({ seen: 2, rows: [[{ shape: [1, 4] }], [{ shape: [1, 4] }]] })
    // Within the same minute it is not written again.
    await post(keeping.url, { inputs: [[9, 9, 9, 9]] })
    await pause(200)
    expect(readRecordedRows(Object.values(await cloud.recordedOf(keeping.id))[0] ?? file)?.seen).toBe(2)
    expect(await cloud.recordedOf(silent.id)).toEqual({})
  })
})
