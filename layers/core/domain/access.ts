import * as z from 'zod'
import { KeyPolicy, Role } from './principal.ts'

/**
 * What a function that serves one model may know of an organisation: who may call, and nothing else. These documents repeat what the
 * user and key documents say and change in the same transactions.
 */
export const AccessKey = z.object({
  key_id: z.string(),
  name: z.string(),
  role: Role,
  policy: KeyPolicy.optional(),
})
export type AccessKey = z.infer<typeof AccessKey>

export const AccessUser = z.object({
  name: z.string(),
  role: Role,
  /** The password epoch whose tokens count; null while none does. */
  epoch: z.string().nullable(),
})
export type AccessUser = z.infer<typeof AccessUser>

/** For tokens of other issuers, which know a user by name only. */
export const AccessName = z.object({ user_id: z.string() })
