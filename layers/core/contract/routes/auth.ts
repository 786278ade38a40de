import * as z from 'zod'
import { JsonObject } from '../../domain/json.ts'
import { KeyPolicy, Role } from '../../domain/principal.ts'
import type { ApiKey, Organization, User } from '../../domain/user.ts'
import { Message } from '../lists.ts'
import type { RouteRow } from '../route-row.ts'

const row = {
  function: 'auth',
  surface: 'platform',
  needs: ['records:read', 'records:write', 'identity:use'],
  transfer: 'json',
  status: 200,
} as const

const Username = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[\p{L}\p{N}._@+-]+$/u, 'wanted letters, digits and . _ @ + -')
const Password = z.string().min(10).max(1024)

export const OrganizationReply = z.object({ id: z.string(), name: z.string(), created_at: z.string() })
export const UserReply = z.object({
  id: z.string(),
  username: z.string(),
  role: Role,
  organization_id: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
})
export const ApiKeyReply = z.object({
  id: z.string(),
  name: z.string(),
  role: Role,
  prefix: z.string().describe('First characters of the key, to recognise it by'),
  policy: KeyPolicy.nullable(),
  created_at: z.string(),
  created_by: z.string(),
  last_used_at: z.string().nullable(),
})

/** What callers see of the stored documents. */
export const organizationReply = (organization: Organization) => OrganizationReply.parse(organization)
export const userReply = (user: User) => UserReply.parse(user)
export const apiKeyReply = (key: ApiKey) => ApiKeyReply.parse(key)

export const authRoutes = {
  'issue-token': {
    ...row,
    method: 'POST',
    path: '/auth/token',
    role: 'anonymous',
    action: 'auth:token',
    summary: 'Sign in',
    body: z.strictObject({ username: z.string().max(1024), password: z.string().max(1024) }),
    reply: z.object({ token: z.string(), expires_at: z.string() }),
  },
  'get-me': {
    ...row,
    method: 'GET',
    path: '/auth/me',
    role: 'viewer',
    action: 'auth:read',
    summary: 'Who this token or key stands for',
    reply: z.object({
      kind: z.enum(['user', 'api_key']),
      id: z.string(),
      name: z.string(),
      organization_id: z.string(),
      role: Role,
      policy: KeyPolicy.nullable(),
    }),
  },
  'change-password': {
    ...row,
    method: 'POST',
    path: '/auth/password',
    role: 'viewer',
    action: 'auth:write',
    summary: 'Change your own password; every token issued before stops working',
    body: z.strictObject({ current_password: z.string().max(1024), new_password: Password }),
    reply: Message,
  },
  'get-jwks': {
    ...row,
    method: 'GET',
    path: '/.well-known/jwks.json',
    role: 'anonymous',
    action: 'auth:read',
    summary: 'Public keys that verify the tokens (RFC 7517)',
    reply: z.object({ keys: z.array(JsonObject) }),
  },
  'create-organization': {
    ...row,
    method: 'POST',
    path: '/organizations',
    role: 'admin',
    action: 'organizations:write',
    summary: 'Make an organisation and its first admin (operators only: admins of the first organisation)',
    body: z.strictObject({ name: z.string().min(1).max(128), admin: z.object({ username: Username, password: Password }) }),
    reply: OrganizationReply.extend({ admin: UserReply }),
  },
  'list-organizations': {
    ...row,
    method: 'GET',
    path: '/organizations',
    role: 'viewer',
    action: 'organizations:read',
    summary: 'Your organisation; all of them for operators',
    reply: z.array(OrganizationReply),
  },
  'create-user': {
    ...row,
    method: 'POST',
    path: '/users',
    role: 'admin',
    action: 'users:write',
    summary: 'Add a user to your organisation',
    body: z.strictObject({ username: Username, password: Password, role: Role.default('viewer') }),
    reply: UserReply,
  },
  'list-users': {
    ...row,
    method: 'GET',
    path: '/users',
    role: 'admin',
    action: 'users:read',
    summary: 'Users of your organisation',
    reply: z.array(UserReply),
  },
  'update-user': {
    ...row,
    method: 'PATCH',
    path: '/users/{user_id}',
    role: 'admin',
    action: 'users:write',
    summary: 'Change role or password; the last admin keeps the role',
    params: z.object({ user_id: z.string() }),
    body: z.strictObject({ role: Role.optional(), password: Password.optional() }),
    reply: UserReply,
  },
  'delete-user': {
    ...row,
    method: 'DELETE',
    path: '/users/{user_id}',
    role: 'admin',
    action: 'users:write',
    summary: 'Remove a user; the last admin stays',
    params: z.object({ user_id: z.string() }),
    reply: Message,
  },
  'create-api-key': {
    ...row,
    method: 'POST',
    path: '/api-keys',
    role: 'admin',
    action: 'api-keys:write',
    summary: 'Make an API key; its text is shown once',
    body: z.strictObject({ name: z.string().min(1).max(128), role: Role.default('editor'), policy: KeyPolicy.optional() }),
    reply: ApiKeyReply.extend({ api_key: z.string() }),
  },
  'list-api-keys': {
    ...row,
    method: 'GET',
    path: '/api-keys',
    role: 'admin',
    action: 'api-keys:read',
    summary: 'API keys of your organisation',
    reply: z.array(ApiKeyReply),
  },
  'revoke-api-key': {
    ...row,
    method: 'DELETE',
    path: '/api-keys/{key_id}',
    role: 'admin',
    action: 'api-keys:write',
    summary: 'Revoke an API key',
    params: z.object({ key_id: z.string() }),
    reply: Message,
  },
} as const satisfies Record<string, RouteRow>
