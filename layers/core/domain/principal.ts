import * as z from 'zod'

export const Role = z.enum(['viewer', 'editor', 'admin'])
export type Role = z.infer<typeof Role>

/** What an API key may do at most; a request must satisfy every member that is present. */
export const KeyPolicy = z.object({
  /** `<resource kind>:<verb>` with `*` as wildcard on either side, e.g. `deployments:invoke`, `models:*`. */
  actions: z
    .array(z.string().regex(/^([a-z-]+|\*):([a-z-]+|\*)$/))
    .min(1)
    .optional(),
  /** `<kind>/<id>` with `*` as the last segment allowed, e.g. `deployments/dep_1`, `models/*`. Rows without an id in their path match `<kind>/*` only. */
  resources: z
    .array(z.string().regex(/^[a-z-]+\/([A-Za-z0-9_-]+|\*)$/))
    .min(1)
    .optional(),
  source_cidrs: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .min(1)
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
