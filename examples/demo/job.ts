import type { Client } from './client.ts'
import { modelPath } from './words.ts'

/** The calls that bring a model into production, each waited for until it is done. */

export interface Deployment {
  id: string
  name: string
  status: string
  status_reason: string | null
  endpoint: string
}

export interface Optimized {
  id: string
  status: string
  accuracy_change_percentage: number | null
  size_bytes: number
  metadata: { error?: string }
  attempts: {
    name: string
    verdict: string
    reason: string
    fidelity?: { sqnr_db: number | null; top1_agreement: number | null }
    original?: Latency
    candidate?: Latency
  }[]
}

export interface Latency {
  p50_ms: number
  p95_ms: number
}

export const upload = async (client: Client): Promise<string> => {
  const fields = { name: 'ppocr-recognition', framework: 'onnx', version: '4', metadata: '{"demo":true}' }
  return (await client.upload(modelPath, fields)).model_id
}

export const optimise = async (client: Client, model_id: string): Promise<Optimized> => {
  // On CPUs without int8 instructions the smaller model is the slower one; the table then says so.
  const wanted = { method: 'quantization', metadata: { precision: 'int8', allow_slower: true } }
  const { id } = await client.call<Optimized>('POST', `/models/${model_id}/optimize`, wanted)
  const done = await until(() => client.call<Optimized>('GET', `/models/${model_id}/optimized/${id}`), ['completed', 'failed'])
  if (done.status === 'failed') throw new Error(`No candidate was good enough: ${done.metadata.error}`)
  return done
}

export const deploy = async (client: Client, name: string, model_id: string, model_type: string): Promise<Deployment> => {
  const resource_requirements = { cpu: '1', memory: '1Gi', timeout: 30 }
  const wanted = { name, model_id, model_type, deployment_type: 'serverless', resource_requirements }
  const { id } = await client.call<Deployment>('POST', '/deployments', wanted)
  const deployment = await until(() => client.call<Deployment>('GET', `/deployments/${id}`), ['active', 'failed'])
  if (deployment.status === 'failed') throw new Error(`${name} failed: ${deployment.status_reason}`)
  return deployment
}

const until = async <Thing extends { status: string }>(read: () => Promise<Thing>, done: readonly string[]): Promise<Thing> => {
  for (let waited_ms = 0; waited_ms < 600_000; waited_ms += 100) {
    const thing = await read()
    if (done.includes(thing.status)) return thing
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`Still not ${done.join(' or ')} after 10 minutes`)
}
