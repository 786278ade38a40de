import * as z from 'zod'
import { CostAnalysis, Forecast, PerformanceAnalysis, Suggestions } from '../../domain/analytics.ts'
import { PriceList } from '../../domain/price-list.ts'
import { Message } from '../lists.ts'
import type { RouteRow } from '../route-row.ts'

const row = {
  function: 'analytics',
  surface: 'platform',
  role: 'viewer',
  action: 'analytics:read',
  needs: ['records:read'],
  transfer: 'json',
  status: 200,
  method: 'GET',
} as const
const Time = z.iso.datetime({ offset: true, error: 'wanted ISO 8601 with a time zone, e.g. 2026-11-20T00:00:00Z' })
const priced = { ...row, needs: ['records:read', 'prices:read'] } as const
/** Default: the last 30 days up to now. */
const Window = z.object({ start_time: Time.optional(), end_time: Time.optional() })

export const analyticsRoutes = {
  'analyse-cost': {
    ...priced,
    path: '/analytics/cost',
    summary: 'What everything cost and what it would cost elsewhere',
    query: Window,
    reply: CostAnalysis,
  },
  'analyse-performance': {
    ...row,
    path: '/analytics/performance',
    summary: 'Requests, latency and errors',
    query: Window,
    reply: PerformanceAnalysis,
  },
  'forecast-usage': {
    ...priced,
    path: '/analytics/forecast',
    summary: 'Requests and cost of the days to come',
    query: Window.extend({ days: z.coerce.number().int().min(1).max(365).default(30) }),
    reply: Forecast,
  },
  'suggest-changes': {
    ...priced,
    path: '/analytics/suggestions',
    summary: 'What to change, with what it saves',
    reply: Suggestions,
  },
  'list-prices': {
    ...priced,
    path: '/analytics/prices',
    summary: 'The price list in force: its sources, their age, and what is held back',
    reply: PriceList,
  },
  'release-prices': {
    ...priced,
    needs: ['records:read', 'records:write', 'prices:read'],
    method: 'POST',
    path: '/analytics/prices/release',
    role: 'admin',
    action: 'prices:write',
    summary: 'Accept prices that were held back (operators only: admins of the first organisation)',
    body: z.strictObject({ sku: z.string().min(1).max(256), region: z.string().min(1).max(64) }),
    reply: Message,
  },
} as const satisfies Record<string, RouteRow>
