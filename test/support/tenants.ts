import * as z from 'zod'
import { identityModel } from './models.ts'
import { type Answer, eventually, type Platform } from './platform.ts'

/** Callers of one platform besides its first admin. */

export interface Caller {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  credential: string
}

export const Id = z.object({ id: z.string() })
export const ModelId = z.object({ model_id: z.string() })

/** Calls with this token or key and nothing else; undefined for a caller without any. */
export const callerWith = (url: string, credential: string | undefined): Caller => ({
  credential: credential ?? '',
  call: async (method, path, body, headers = {}) => {
    const reply = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await reply.text()
    const is_json = /json/.test(reply.headers.get('content-type') ?? '')
    return { status: reply.status, headers: reply.headers, body: is_json ? JSON.parse(text) : text }
  },
})

export const signIn = async (url: string, username: string, password: string): Promise<Caller> => {
  const answer = await callerWith(url, undefined).call('POST', '/auth/token', { username, password })
  return callerWith(url, z.object({ token: z.string() }).parse(answer.body).token)
}

/** Another organisation and its admin, signed in. */
export const newOrganization = async (platform: Platform, name: string): Promise<Caller> => {
  const admin = { username: `${name}-admin`, password: `${name} long password` }
  const made = await platform.call('POST', '/organizations', { name, admin })
  if (made.status !== 200) throw new Error(`create-organization answered ${made.status} ${JSON.stringify(made.body)}`)
  return signIn(platform.url, admin.username, admin.password)
}

/** A dataset sent as a form by the platform's first admin. */
export const sendDataset = async (
  platform: Pick<Platform, 'url' | 'token'>,
  file_name: string,
  bytes: Uint8Array,
  fields: Record<string, string> = { name: 'rows' },
): Promise<Answer> => {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('file', new Blob([new Uint8Array(bytes)]), file_name)
  const headers = { authorization: `Bearer ${await platform.token()}` }
  const reply = await fetch(`${platform.url}/datasets`, { method: 'POST', headers, body: form })
  return { status: reply.status, headers: reply.headers, body: await reply.json() }
}

/** A model that echoes 4 numbers, deployed and active. */
export const echoDeployment = async (platform: Platform, settings: Record<string, unknown> = {}) => {
  const uploaded = await platform.upload('echo.onnx', identityModel('FP32', ['batch', 4]), { name: 'echo' })
  const { model_id } = ModelId.parse(uploaded.body)
  const created = await platform.call('POST', '/deployments', {
    name: 'echo',
    model_id,
    deployment_type: 'serverless',
    ...settings,
  })
  const deployment_id = Id.parse(created.body).id
  await reaches(platform, deployment_id, 'active')
  return { model_id, deployment_id }
}

const Status = z.object({ status: z.string() })

export const reaches = async (platform: Platform, deployment_id: string, wanted: string): Promise<void> => {
  const last = await eventually(
    () => platform.call('GET', `/deployments/${deployment_id}`),
    ({ body }) => Status.safeParse(body).data?.status === wanted,
  )
  const seen = Status.safeParse(last.body).data?.status
  if (seen !== wanted) throw new Error(`${deployment_id} is ${seen}, wanted ${wanted}`)
}
