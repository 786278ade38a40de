import { hash, randomBytes } from 'node:crypto'
import { PlatformError } from '../contract/errors.ts'
import { type KeyPolicy, mayActAs, type Principal, type Role } from '../domain/principal.ts'
import type { ApiKey } from '../domain/user.ts'
import type { App } from '../ports/app.ts'
import { putAccessKey } from './access-records.ts'
import { refuseRestrictedKey } from './may-administer.ts'
import { apiKeyPointerKey, organizationDocument, putApiKey } from './organization-records.ts'

/** `ak_` and enough of the rest to tell keys apart, 36 of 256 bits. */
const prefix_length = 9

/** Makes a key of 256 random bits; its text is in this answer and nowhere else. It may not exceed its maker's role. */
export const createApiKey = async (
  app: Pick<App, 'records' | 'now' | 'newId'>,
  principal: Principal,
  { name, role, policy }: { name: string; role: Role; policy?: KeyPolicy | undefined },
): Promise<{ key: ApiKey; api_key: string }> => {
  refuseRestrictedKey(principal)
  if (!mayActAs(principal, role))
    throw new PlatformError('forbidden', `A key may not exceed its maker's role: asked for ${role}, maker is ${principal.role}`)
  const api_key = `ak_${randomBytes(32).toString('base64url')}`
  const sha256 = hash('sha256', api_key, 'hex')
  const { organization_id } = principal
  const facts = { id: app.newId('key'), organization_id, name, role, prefix: api_key.slice(0, prefix_length), sha256 }
  const key: ApiKey = {
    ...facts,
    policy: policy ?? null,
    created_at: app.now().toISOString(),
    created_by: principal.id,
    last_used_at: null,
    in_access: true,
  }
  await app.records.write([
    putApiKey(key, 'absent'),
    putAccessKey(key),
    { put: { ...apiKeyPointerKey(sha256), body: { key_id: key.id, organization_id } }, expect: 'absent' },
    { check: organizationDocument(organization_id), expect: 'present' },
  ])
  return { key, api_key }
}
