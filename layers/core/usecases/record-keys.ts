import type { Key } from '../ports/records.ts'

/** The partition that holds every document of one organisation. */
export const organizationPartition = (organization_id: string): string => `org#${organization_id}`

/** Documents of one organisation: `pk: org#<organization_id>`, `sk: <kind>#<id>`; ids sort by time. */
export const organizationKey = (organization_id: string, kind: string, id: string): Key => ({
  pk: organizationPartition(organization_id),
  sk: `${kind}#${id}`,
})
