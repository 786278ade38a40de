import * as z from 'zod'
import { KeyPolicy, Role } from './principal.ts'

/** An organisation as stored. `admins` counts its admins, so that the last one can be kept by a conditional write. */
export const Organization = z.object({
  id: z.string(),
  name: z.string(),
  /** Its admins run the platform: they alone make organisations. Only the first one is. */
  operator: z.boolean(),
  admins: z.number().int().min(0),
  created_at: z.string(),
})
export type Organization = z.infer<typeof Organization>

/** A user as stored; what proves the user lies with the identity port. */
export const User = z.object({
  id: z.string(),
  organization_id: z.string(),
  username: z.string(),
  role: Role,
  created_at: z.string(),
  updated_at: z.string(),
  /**
   * The password epoch that the access partition holds for this user, null while tokens of none count there. Absent: the user is older
   * than that partition and not in it yet.
   */
  token_epoch: z.string().nullable().optional(),
})
export type User = z.infer<typeof User>

/** Who holds a user name. While a user is being made it expires by itself. */
export const UsernameClaim = z.object({ user_id: z.string(), organization_id: z.string() })

/** An API key as stored: its SHA-256 only, for 256 random bits need no slow hash. */
export const ApiKey = z.object({
  id: z.string(),
  organization_id: z.string(),
  name: z.string(),
  role: Role,
  prefix: z.string(),
  sha256: z.string(),
  policy: KeyPolicy.nullable(),
  created_at: z.string(),
  /** Id of the user or key that made it. */
  created_by: z.string(),
  last_used_at: z.string().nullable(),
  /** The access partition holds it. Absent: the key is older than that partition and not in it yet. */
  in_access: z.boolean().optional(),
})
export type ApiKey = z.infer<typeof ApiKey>

/** Where the key of a digest lies. */
export const ApiKeyPointer = z.object({ key_id: z.string(), organization_id: z.string() })

/** Names that look alike are one name: compatibility forms are folded (Unicode NFKC) and case is ignored. */
export const canonicalUsername = (username: string): string => username.normalize('NFKC').toLowerCase()
