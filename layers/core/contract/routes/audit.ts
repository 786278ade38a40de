import * as z from 'zod'
import { PlatformEvent } from '../events.ts'
import { ListQuery } from '../lists.ts'
import type { RouteRow } from '../route-row.ts'

const Instant = z.iso.datetime({ offset: true })

export const auditRoutes = {
  'list-audit': {
    function: 'auth',
    surface: 'platform',
    role: 'admin',
    action: 'audit:read',
    needs: ['records:read'],
    transfer: 'json',
    status: 200,
    method: 'GET',
    path: '/audit',
    summary: 'What happened to models and deployments, newest first',
    description:
      'Events of the caller’s organisation of the last 400 days, seconds after they happened. `from` is inclusive, `to` exclusive. A page may hold fewer events than asked for; the last one has an empty `next_page_token`.',
    query: ListQuery.pick({ page_size: true, page_token: true }).extend({
      type: PlatformEvent.shape.type.optional(),
      from: Instant.optional(),
      to: Instant.optional(),
    }),
    reply: z.object({ items: z.array(PlatformEvent), next_page_token: z.string() }),
  },
} as const satisfies Record<string, RouteRow>
