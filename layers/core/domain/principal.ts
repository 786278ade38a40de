import * as z from 'zod'

export const Role = z.enum(['viewer', 'editor', 'admin'])
export type Role = z.infer<typeof Role>

/** Every request is held against every entry. */
const most_entries = 100

/**
 * What an API key may do at most; a request must satisfy every member that is present. Unknown members are refused: a misspelt
 * one, silently dropped, would leave the key free of what it was meant to forbid.
 */
export const KeyPolicy = z.strictObject({
  /** `<resource kind>:<verb>` with `*` as wildcard on either side, e.g. `deployments:invoke`, `models:*`. */
  actions: z
    .array(z.string().regex(/^([a-z-]+|\*):([a-z-]+|\*)$/))
    .min(1)
    .max(most_entries)
    .optional(),
  /** `<kind>/<id>` with `*` as the last segment allowed, e.g. `deployments/dep_1`, `models/*`. Rows without an id in their path match `<kind>/*` only. */
  resources: z
    .array(z.string().regex(/^[a-z-]+\/([A-Za-z0-9_-]+|\*)$/))
    .min(1)
    .max(most_entries)
    .optional(),
  source_cidrs: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .min(1)
    .max(most_entries)
    .optional(),
  expires_at: z.iso.datetime({ offset: true }).optional(),
})
export type KeyPolicy = z.infer<typeof KeyPolicy>

/** Who asks. Everything a request may touch lies in `organization_id`. */
export interface Principal {
  kind: 'user' | 'api_key'
  /** User id or API key id. */
  id: string
  name: string
  organization_id: string
  role: Role
  policy?: KeyPolicy
}

const rank: Record<Role, number> = { viewer: 0, editor: 1, admin: 2 }
export const mayActAs = (principal: Pick<Principal, 'role'>, needed: Role): boolean => rank[principal.role] >= rank[needed]
