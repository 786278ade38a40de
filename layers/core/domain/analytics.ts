import * as z from 'zod'

/** Where a figure comes from, e.g. `price list 2026-11-20 us-east-1 Lambda arm64 × 3 usage rows`. */
const Basis = z.string()
const usd = z.number()
const count = z.number().int()
const Impact = z.enum(['low', 'medium', 'high'])

export const Recommendation = z.object({ type: z.string(), message: z.string(), impact: Impact, basis: Basis })
export type Recommendation = z.infer<typeof Recommendation>

/** `cost_breakdown`, `cost_by_type` and `cost_by_deployment` each sum to `total_cost`; `other_costs` stand outside it. */
export const CostAnalysis = z.object({
  timestamp: z.string(),
  start_time: z.string(),
  end_time: z.string(),
  total_cost: usd,
  cost_breakdown: z.object({ compute: usd, storage: usd, network: usd }),
  cost_by_type: z.record(z.string(), usd),
  cost_by_deployment: z.record(z.string(), usd),
  cost_breakdown_by_deployment: z.record(z.string(), z.object({ compute: usd, storage: usd, network: usd })),
  comparison: z.object({
    our_platform: usd,
    aws: usd.nullable(),
    azure: usd.nullable(),
    gcp: usd.nullable(),
    savings_percentage: z.object({ aws: z.number().nullable(), azure: z.number().nullable(), gcp: z.number().nullable() }),
    basis: z.object({ our_platform: Basis, aws: Basis, azure: Basis, gcp: Basis }),
  }),
  recommendations: z.array(Recommendation),
  other_costs: z.array(z.object({ type: z.string(), amount_usd: usd, basis: Basis })),
  unpriced: z.array(z.object({ deployment_id: z.string(), reason: z.string() })),
  basis: z.object({ total_cost: Basis, compute: Basis, storage: Basis, network: Basis }),
})
export type CostAnalysis = z.infer<typeof CostAnalysis>

const Traffic = z.object({ requests: count, avg_latency: z.number().describe('ms'), error_rate: z.number().describe('percent') })
const TrafficDetail = Traffic.extend({
  p50_latency: z.number().nullable(),
  p95_latency: z.number().nullable(),
  p99_latency: z.number().nullable(),
  cold_starts: count,
})

export const PerformanceAnalysis = z.object({
  timestamp: z.string(),
  start_time: z.string(),
  end_time: z.string(),
  total_requests: count,
  avg_latency: z.number(),
  error_rate: z.number(),
  performance_by_type: z.record(z.string(), Traffic),
  performance_by_deployment: z.record(z.string(), TrafficDetail),
  recommendations: z.array(Recommendation),
  anomalies: z.record(z.string(), z.array(z.object({ type: z.string(), message: z.string(), timestamp: z.string() }))),
  basis: z.object({ avg_latency: Basis, error_rate: Basis }),
})
export type PerformanceAnalysis = z.infer<typeof PerformanceAnalysis>

/** Arrays have one value a day; `current_*` is the window's daily average. */
export const Forecast = z.object({
  timestamp: z.string(),
  days: count,
  total_requests_forecast: z.array(z.number()),
  total_cost_forecast: z.array(usd),
  forecast_by_deployment: z.record(
    z.string(),
    z.object({
      deployment_name: z.string(),
      current_requests: z.number(),
      current_cost: usd,
      requests_forecast: z.array(z.number()),
      cost_forecast: z.array(usd),
      basis: Basis,
    }),
  ),
  basis: z.object({ requests: Basis, cost: Basis }),
})
export type Forecast = z.infer<typeof Forecast>

export const Suggestion = z.object({
  type: z.string(),
  message: z.string(),
  current_value: z.string().optional(),
  recommended_value: z.string().optional(),
  impact: Impact,
  saves_usd_per_month: usd.nullable(),
  basis: Basis,
})
export type Suggestion = z.infer<typeof Suggestion>

export const Suggestions = z.object({
  timestamp: z.string(),
  suggestions_by_deployment: z.record(z.string(), z.object({ deployment_name: z.string(), suggestions: z.array(Suggestion) })),
})
export type Suggestions = z.infer<typeof Suggestions>
