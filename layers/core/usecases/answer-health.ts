import type { Deployment } from '../domain/deployment.ts'
import type { InferenceAnswer, InferenceCall } from './infer-deployment.ts'

const HEALTH = /^\/v2\/(?:health\/(live|ready)|models\/([^/]+)(?:\/versions\/[^/]+)?\/ready)$/

/**
 * Health checks are answered from the deployment's state, so that probes neither wake it nor keep it awake. One that sleeps is ready:
 * it takes requests. `false` is status 400, since the protocol wants a 4xx.
 */
export const answerHealth = (
  deployment: Deployment,
  { method, path }: Pick<InferenceCall, 'method' | 'path'>,
): InferenceAnswer | undefined => {
  if (method !== 'GET') return undefined
  const match = path.match(HEALTH)
  if (match === null) return undefined
  const [, area, model] = match
  if (area === 'live') return json(200, { live: true })
  const ready = !notReady.has(deployment.status)
  if (area === 'ready') return json(ready ? 200 : 400, { ready, state: deployment.status })
  if (model !== encodeURIComponent(deployment.name) && model !== deployment.name && model !== deployment.id) return undefined
  return json(ready ? 200 : 400, { name: deployment.name, ready, state: deployment.status })
}

const notReady: ReadonlySet<string> = new Set(['creating', 'stopped', 'failed'])

const json = (status: number, body: object): InferenceAnswer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: new TextEncoder().encode(JSON.stringify(body)),
})
