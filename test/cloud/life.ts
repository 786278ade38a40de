import { createHash } from 'node:crypto'
import * as z from 'zod'
import { denseModel } from '../support/models.ts'
import { eventually, type Platform } from './platform.ts'

/** What users do with a platform in months, in a minute: everything once, over HTTP. */

const Id = z.object({ id: z.string() })
const Status = z.object({ status: z.string() })
const patience_ms = 60_000
const one_row = { inputs: [Array.from({ length: 16 }, (_, at) => at / 16)] }
const settings = {
  model_type: 'original',
  deployment_type: 'serverless',
  resource_requirements: { cpu: '1', memory: '2Gi', gpu: null, timeout: 30 },
}

type Call = (method: string, path: string, body?: unknown) => Promise<unknown>

/** Calls and wants a success; answers the body. */
const caller =
  (platform: Platform): Call =>
  async (method, path, body) => {
    const { status, body: answered } = await platform.call(method, path, body)
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(answered)}`)
    return answered
  }

const settled = async (platform: Platform, path: string, ...wanted: string[]): Promise<unknown> => {
  const { body } = await eventually(
    () => platform.call('GET', path),
    ({ body: seen }) => wanted.includes(Status.safeParse(seen).data?.status ?? ''),
    patience_ms,
  )
  if (!wanted.includes(Status.safeParse(body).data?.status ?? ''))
    throw new Error(`${path} is not ${wanted.join(' or ')}: ${JSON.stringify(body)}`)
  return body
}

/** Users and keys come and go; the answer is a key that may predict. */
export const people = async (platform: Platform): Promise<string> => {
  const call = caller(platform)
  const password = 'correct horse battery staple'
  const user = Id.parse(await call('POST', '/users', { username: 'ada', password, role: 'viewer' }))
  await call('PATCH', `/users/${user.id}`, { role: 'editor', password: `${password} 2` })
  const signIn = (text: string): Promise<Response> =>
    fetch(`${platform.url}/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'ada', password: text }),
    })
  const { token } = z.object({ token: z.string() }).parse(await (await signIn(`${password} 2`)).json())
  const changed = await fetch(`${platform.url}/auth/password`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ current_password: `${password} 2`, new_password: `${password} 3` }),
  })
  if (!changed.ok) throw new Error(`/auth/password answered ${changed.status}: ${await changed.text()}`)
  await call('GET', '/auth/me')
  await call('GET', '/users')
  await call('DELETE', `/users/${user.id}`)
  await signIn(password)
  const gone = Id.parse(await call('POST', '/api-keys', { name: 'of no use' }))
  await call('DELETE', `/api-keys/${gone.id}`)
  const kept = z.object({ api_key: z.string() }).parse(await call('POST', '/api-keys', { name: 'kept', role: 'editor' }))
  await call('GET', '/api-keys')
  await call('POST', '/organizations', { name: 'other', admin: { username: 'grace', password } })
  await call('GET', '/organizations')
  for (const path of ['/.well-known/jwks.json', '/health', '/openapi.json', '/docs']) await call('GET', path)
  return kept.api_key
}

export interface Models {
  whole: string
  in_parts: string
}

export const models = async (platform: Platform): Promise<Models> => {
  const call = caller(platform)
  const uploaded = z.object({ model_id: z.string() })
  const bytes = denseModel([16, 64, 4])
  const { model_id: whole } = uploaded.parse((await platform.upload('model.onnx', bytes)).body)
  const plan = z.object({ model_id: z.string(), parts: z.array(z.object({ number: z.number(), url: z.string() })) }).parse(
    await call('POST', '/models', {
      ...{ name: 'in parts', framework: 'onnx', version: '2', file_name: 'model.onnx' },
      ...{ size_bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') },
    }),
  )
  const parts = await Promise.all(
    plan.parts.map(async ({ number, url }) => {
      const reply = await fetch(url, { method: 'PUT', body: new Uint8Array(bytes) })
      return { number, etag: reply.headers.get('etag') ?? '' }
    }),
  )
  await call('POST', `/models/${plan.model_id}/complete`, { parts })
  await call('PATCH', `/models/${plan.model_id}`, { metadata: { seen: 'yes' } })
  await call('GET', `/models/${plan.model_id}`)
  await call('GET', '/models')
  const { model_id: gone } = uploaded.parse((await platform.upload('gone.onnx', bytes)).body)
  await call('DELETE', `/models/${gone}`)
  return { whole, in_parts: plan.model_id }
}

export const optimized = async (platform: Platform, model_id: string): Promise<void> => {
  const call = caller(platform)
  const body = { method: 'quantization', target_size: '10MB', target_latency: 10 }
  const { id } = Id.parse(await call('POST', `/models/${model_id}/optimize`, body))
  await call('GET', `/models/${model_id}/optimized`)
  await settled(platform, `/models/${model_id}/optimized/${id}`, 'completed')
}

/** A deployment from its first day to its last. */
export const deployment = async (platform: Platform, { whole, in_parts }: Models, key: string): Promise<string> => {
  const call = caller(platform)
  const body = { name: 'life', ...settings, model_id: whole, scaling_policy: { min_instances: 1, max_instances: 4 } }
  const { id } = Id.parse(await call('POST', '/deployments', body))
  const path = `/deployments/${id}`
  const active = () => settled(platform, path, 'active')
  const { endpoint } = z.object({ endpoint: z.string() }).parse(await active())
  const predict = async (url: string, secret: string): Promise<void> => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${secret}` }
    const reply = await fetch(url, { method: 'POST', headers, body: JSON.stringify(one_row) })
    if (!reply.ok) throw new Error(`${url} answered ${reply.status}: ${await reply.text()}`)
    await reply.arrayBuffer()
  }
  await predict(endpoint, await platform.token())
  await predict(endpoint, key)
  await predict(`${platform.url}${path}/inference`, key)
  await call('GET', `${path}/inference/v2/health/ready`)
  await call('PUT', path, { model_id: in_parts, scaling_policy: { min_instances: 0, max_instances: 2 } })
  await active()
  await call('PUT', path, { canary: { revision: 1, percent: 20 } })
  await active()
  await call('PUT', path, { canary: null })
  await active()
  await call('POST', `${path}/hibernate`)
  await settled(platform, path, 'hibernated')
  await predict(`${platform.url}${path}/inference`, key)
  await active()
  await call('POST', `${path}/stop`)
  await settled(platform, path, 'stopped')
  await call('POST', `${path}/activate`)
  await active()
  await call('GET', `${path}/revisions`)
  await call('POST', `${path}/rollback`, { revision: 1 })
  await active()
  await call('GET', '/deployments')
  return id
}

export const gone = async (platform: Platform, id: string): Promise<void> => {
  await caller(platform)('DELETE', `/deployments/${id}`)
  await eventually(
    () => platform.call('GET', `/deployments/${id}`),
    ({ status, body }) => status === 404 || Status.safeParse(body).data?.status === 'deleted',
    patience_ms,
  )
}

/** An endpoint of SageMaker on instances that come and go by load. */
export const endpoint = async (platform: Platform, model_id: string): Promise<void> => {
  const call = caller(platform)
  const body = {
    ...{ name: 'endpoint', ...settings, deployment_type: 'sagemaker', model_id },
    scaling_policy: { min_instances: 1, max_instances: 2 },
    metadata: { endpoint_mode: 'real_time', instance_type: 'ml.m5.large' },
  }
  const { id } = Id.parse(await call('POST', '/deployments', body))
  const path = `/deployments/${id}`
  const active = () => settled(platform, path, 'active')
  await active()
  await platform.call('POST', `${path}/inference`, one_row)
  await call('PUT', path, { scaling_policy: { min_instances: 1, max_instances: 3 } })
  await active()
  await call('PUT', path, { canary: { revision: 1, percent: 20 } })
  await active()
  await call('PUT', path, { canary: null })
  await active()
  await call('POST', `${path}/hibernate`)
  await settled(platform, path, 'hibernated')
  await call('POST', `${path}/activate`)
  await active()
  await gone(platform, id)
}

/** One that idles after a second, for the clock to put to sleep. */
export const idler = async (platform: Platform, model_id: string): Promise<void> => {
  const policy = { hibernation_enabled: true, hibernation_idle_timeout: 1 }
  const body = { name: 'idler', ...settings, model_id, cost_optimization_policy: policy }
  const { id } = Id.parse(await caller(platform)('POST', '/deployments', body))
  await settled(platform, `/deployments/${id}`, 'active')
}

/** Deployments that nobody deletes, for the end of the stacks: one kept warm, one whose instances come and go. */
export const leftOver = async (platform: Platform, model_id: string): Promise<void> => {
  const both = [
    { deployment_type: 'serverless', scaling_policy: { min_instances: 1, max_instances: 2 } },
    {
      deployment_type: 'sagemaker',
      scaling_policy: { min_instances: 0, max_instances: 2 },
      metadata: { endpoint_mode: 'real_time', scale_to_zero: true, instance_type: 'ml.m5.large' },
    },
  ]
  await Promise.all(
    both.map(async (one) => {
      const { id } = Id.parse(await caller(platform)('POST', '/deployments', { ...settings, name: 'left', model_id, ...one }))
      await settled(platform, `/deployments/${id}`, 'active')
    }),
  )
}

export const reports = async (platform: Platform): Promise<string> => {
  const call = caller(platform)
  const schedule = { name: 'weekly', frequency: 'daily', hour: 0, recipients: ['ada@example.com'] }
  const { id } = Id.parse(await call('POST', '/reports/schedules', schedule))
  const other = Id.parse(await call('POST', '/reports/schedules', { ...schedule, name: 'other' }))
  await call('PUT', `/reports/schedules/${other.id}`, { ...schedule, name: 'other', hour: 3 })
  await call('GET', `/reports/schedules/${other.id}`)
  await call('GET', '/reports/schedules')
  await call('DELETE', `/reports/schedules/${other.id}`)
  await call('POST', '/reports/preview', { period: 'weekly' })
  for (const path of ['cost', 'performance', 'forecast?days=30', 'suggestions', 'prices']) await call('GET', `/analytics/${path}`)
  await call('POST', '/analytics/prices/release', { sku: 'none', region: 'us-east-1' }).catch(() => undefined)
  await call('GET', '/audit')
  return id
}
