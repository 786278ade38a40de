import * as z from 'zod'
import { JsonObject } from '../../domain/json.ts'
import type { RouteRow } from '../route-row.ts'

const row = {
  function: 'platform',
  surface: 'platform',
  role: 'anonymous',
  action: 'platform:read',
  needs: [],
  transfer: 'json',
  status: 200,
} as const

export const platformRoutes = {
  'get-health': {
    ...row,
    needs: ['records:read'],
    method: 'GET',
    path: '/health',
    summary: 'Whether the platform answers',
    reply: z.object({ timestamp: z.string(), version: z.string(), status: z.enum(['ok', 'degraded']) }),
  },
  'get-openapi': { ...row, method: 'GET', path: '/openapi.json', summary: 'This API as OpenAPI 3.1', reply: JsonObject },
  'get-docs': {
    ...row,
    method: 'GET',
    path: '/docs',
    summary: 'This API as a page',
    reply: z.string(),
    replies_with: 'text/html; charset=utf-8',
  },
} as const satisfies Record<string, RouteRow>
