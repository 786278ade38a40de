import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { APIGatewayRequestAuthorizerEvent } from 'aws-lambda'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { App } from '../../layers/core/ports/app.ts'
import { createApiKey } from '../../layers/core/usecases/create-api-key.ts'
import { ensureFirstAdmin } from '../../layers/core/usecases/ensure-first-admin.ts'
import { forgetPrincipals } from '../../layers/core/usecases/kept-principals.ts'

const password = 'correct horse battery'
const stage_arn = 'arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/dev'
let home: string
let app: App
let handler: typeof import('../../functions/entry/authorizer.ts').handler

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'authorizer-'))
  process.env.AIDEPLOY_HOME = home
  app = (await import('#app')).app
  handler = (await import('../../functions/entry/authorizer.ts')).handler
  await ensureFirstAdmin(app, password)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

/** What the gateway sends, as far as it is read. */
const event = (headers: Record<string, string> | null, path = '/POST/models'): APIGatewayRequestAuthorizerEvent =>
  ({
    type: 'REQUEST',
    methodArn: `${stage_arn}${path}`,
    headers,
    requestContext: { identity: { sourceIp: '192.0.2.1' } },
  }) as APIGatewayRequestAuthorizerEvent

const signIn = async () => (await app.identity.signIn({ username: 'admin', password, source_ip: '192.0.2.1' })).token

describe('the gateway’s authorizer', () => {
  it('lets a token and a key through to the whole stage, because the gateway keeps the answer', async () => {
    const token = await signIn()
    const { user_id, organization_id } = await app.identity.verify(token)
    const admin = { kind: 'user', id: user_id, name: 'admin', organization_id, role: 'admin' } as const
    const policy = { source_cidrs: ['192.0.2.0/24'] }
    const { api_key, key } = await createApiKey(app, admin, { name: 'ci', role: 'viewer', policy })
    const answer = await handler(event({ Authorization: `Bearer ${token}` }))
    expect(answer).toEqual({
      principalId: `${organization_id}/${user_id}`,
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: `${stage_arn}/*` }],
      },
      context: { principal: JSON.stringify({ ...admin, restricted: false }) },
    })
    for (const path of ['/GET/', '/DELETE/models/mdl_1', '/POST/deployments/dep_1/inference/v2/models/m/infer'])
      expect((await handler(event({ authorization: `Bearer ${token}` }, path))).policyDocument).toEqual(answer.policyDocument)
    const byKey = await handler(event({ authorization: `Bearer ${api_key}` }))
    expect(JSON.parse(String(byKey.context?.principal))).toMatchObject({ kind: 'api_key', id: key.id, restricted: true })
    expect((await handler(event({ 'X-API-Key': api_key }))).principalId).toBe(byKey.principalId)
  })

  it('answers the one word that makes the gateway say 401', async () => {
    const refused: (Record<string, string> | null)[] = [
      null,
      {},
      { Authorization: 'Bearer x.y.z' },
      { Authorization: 'Basic eDp5' },
      { 'x-api-key': 'ak_unknown' },
    ]
    for (const headers of refused) await expect(handler(event(headers))).rejects.toThrow(/^Unauthorized$/)
  })

  it('does not call it unauthorised when the platform is at fault', async () => {
    const token = await signIn()
    const { get } = app.records
    app.records.get = () => Promise.reject(new Error('the table is gone'))
    forgetPrincipals(app)
    await expect(handler(event({ authorization: `Bearer ${token}` }))).rejects.toThrow('the table is gone')
    app.records.get = get
    expect((await handler(event({ authorization: `Bearer ${token}` }))).principalId).toBeTruthy()
  })
})
