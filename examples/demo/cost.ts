import type { Client } from './client.ts'
import type { Deployment } from './job.ts'

/** USD per 1,000 requests of one deployment. */
export interface Cost {
  total: number
  compute: number
  data_out: number
}

interface CostAnswer {
  cost_by_deployment: Record<string, number>
  cost_breakdown_by_deployment: Record<string, { compute: number; storage: number; network: number }>
  basis: { total_cost: string }
}

interface PerformanceAnswer {
  performance_by_deployment: Record<string, { requests: number }>
}

/** What the platform's own analysis says of each deployment, with where its prices come from. */
export const costs = async (client: Client, deployments: readonly Deployment[]): Promise<{ each: Cost[]; basis: string }> => {
  const cost = await client.call<CostAnswer>('GET', '/analytics/cost')
  const performance = await client.call<PerformanceAnswer>('GET', '/analytics/performance')
  const each = deployments.map(({ id }) => {
    const parts = cost.cost_breakdown_by_deployment[id]
    const per1000 = (usd = Number.NaN) => (1000 * usd) / (performance.performance_by_deployment[id]?.requests ?? Number.NaN)
    return {
      total: per1000(cost.cost_by_deployment[id]),
      compute: per1000(parts?.compute),
      data_out: per1000(parts?.network),
    }
  })
  return { each, basis: cost.basis.total_cost }
}
