import * as z from 'zod'
import { CostAnalysis, Forecast, PerformanceAnalysis, Suggestions } from '../../domain/analytics.ts'
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
/** Default: the last 30 days up to now. */
const Window = z.object({ start_time: Time.optional(), end_time: Time.optional() })

export const analyticsRoutes = {
  'analyse-cost': {
    ...row,
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
    ...row,
    path: '/analytics/forecast',
    summary: 'Requests and cost of the days to come',
    query: Window.extend({ days: z.coerce.number().int().min(1).max(365).default(30) }),
    reply: Forecast,
  },
  'suggest-changes': {
    ...row,
    path: '/analytics/suggestions',
    summary: 'What to change, with what it saves',
    reply: Suggestions,
  },
} as const satisfies Record<string, RouteRow>
