import type { Answer } from './answer.ts'
import type { ModelRequest } from './call.ts'
import { environment } from './environment.ts'
import { log } from './log.ts'

const metrics = [
  { Name: 'requests', Unit: 'Count' },
  { Name: 'errors', Unit: 'Count' },
  { Name: 'latency', Unit: 'Milliseconds' },
  { Name: 'cold_starts', Unit: 'Count' },
  { Name: 'init', Unit: 'Milliseconds' },
]

/**
 * One line per invocation, which CloudWatch reads as metrics too (Embedded Metric Format). The stage is the only dimension: each further
 * one is a metric that is paid for, per deployment. Never a body, a header or a credential.
 */
export const logInvocation = (request: ModelRequest, answer: Answer, latency_ms: number): void => {
  const { cold, init_us, compute_us, memory_bytes } = answer.usage
  const failed = answer.status >= 500
  const shown = metrics.filter(({ Name }) => Name !== 'init' || cold)
  log[failed ? 'error' : 'info']('request', {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [{ Namespace: 'AiDeploy', Dimensions: [['stage']], Metrics: shown }],
    },
    stage: environment.AIDEPLOY_STAGE,
    requests: 1,
    errors: failed ? 1 : 0,
    latency: Math.round(latency_ms * 1000) / 1000,
    cold_starts: cold ? 1 : 0,
    ...(cold && { init: init_us / 1000 }),
    request_id: request.request_id,
    organization_id: environment.AIDEPLOY_ORGANIZATION,
    deployment_id: environment.AIDEPLOY_DEPLOYMENT,
    revision: environment.AIDEPLOY_REVISION,
    status: answer.status,
    ...(answer.code !== undefined && { code: answer.code }),
    compute_us,
    memory_bytes,
  })
}
