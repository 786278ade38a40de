import { createHash } from 'node:crypto'
import * as z from 'zod'
import { until, wanted } from './client.ts'
import { type Facts, known } from './facts.ts'
import type { Check } from './run.ts'

const Plan = z.object({
  model_id: z.string(),
  part_size: z.number(),
  parts: z.array(z.object({ number: z.number(), url: z.string() })).min(1),
})
const Uploaded = z.object({ model_id: z.string(), sha256: z.string(), size_bytes: z.number() })
const Message = z.object({ message: z.string() })
const Optimized = z.object({
  id: z.string(),
  status: z.string(),
  metadata: z.looseObject({ reason: z.string().optional(), error: z.string().optional() }),
})

/** Announces, sends every part to its URL as the platform says, joins; the sum the platform kept is the file's. */
const uploadInParts = async (
  facts: Facts,
  name: string,
  { file_name, bytes }: { file_name: string; bytes: Uint8Array<ArrayBuffer> },
): Promise<{ model_id: string; parts: number }> => {
  const { client, as } = facts
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const announced = { name, framework: 'onnx', version: '1', size_bytes: bytes.length, sha256, file_name }
  const plan = wanted(await client.call('POST', '/models', { as, body: announced }), 200, Plan)
  const parts: { number: number; etag: string }[] = []
  for (const { number, url } of plan.parts) {
    const part = bytes.subarray((number - 1) * plan.part_size, number * plan.part_size)
    const stored = await client.send(url, { method: 'PUT', body: part })
    if (stored.status !== 200) throw new Error(`part ${number} answered ${stored.status}`)
    parts.push({ number, etag: stored.headers.get('etag') ?? String(Reflect.get(Object(stored.body), 'etag')) })
  }
  const done = wanted(await client.call('POST', `/models/${plan.model_id}/complete`, { as, body: { parts } }), 200, Uploaded)
  if (done.sha256 !== sha256) throw new Error(`the stored sha256 is ${done.sha256}, the file’s ${sha256}`)
  return { model_id: done.model_id, parts: parts.length }
}

export const modelChecks: readonly Check<Facts>[] = [
  {
    id: 'upload',
    title: 'takes a model in parts and keeps its sha256',
    after: ['sign-in'],
    run: async (facts) => {
      const { model_id } = await uploadInParts(facts, 'verify', facts.model)
      facts.model_id = model_id
      return `${model_id}, ${facts.model.bytes.length.toLocaleString('en')} bytes`
    },
  },
  {
    id: 'upload-large',
    title: 'takes a model of more than one part, and deletes it',
    after: ['sign-in'],
    run: async (facts) => {
      if (facts.large === undefined) return 'no larger model at hand'
      const { model_id, parts } = await uploadInParts(facts, 'verify-large', facts.large)
      wanted(await facts.client.call('DELETE', `/models/${model_id}`, { as: facts.as }), 200, Message)
      return `${parts} parts, ${facts.large.bytes.length.toLocaleString('en')} bytes`
    },
  },
  {
    id: 'optimize',
    title: 'makes the model smaller and says by how much',
    after: ['upload'],
    run: async (facts) => {
      const path = `/models/${known(facts, 'model_id')}`
      const body = { method: 'quantization', metadata: { precision: 'int8' } }
      const { id } = wanted(
        await facts.client.call('POST', `${path}/optimize`, { as: facts.as, body }),
        200,
        z.object({ id: z.string() }),
      )
      const read = async () => wanted(await facts.client.call('GET', `${path}/optimized/${id}`, { as: facts.as }), 200, Optimized)
      const done = await until(read, ({ status }) => status !== 'optimizing', facts.patience_s)
      if (done.status !== 'completed') throw new Error(`${done.status}: ${done.metadata.error}`)
      facts.optimized_id = id
      return done.metadata.reason ?? done.status
    },
  },
]
