import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as z from 'zod'
import { OptimizedModelReply } from '../../layers/core/domain/optimization.ts'
import { realModel } from '../support/optimization-lab.ts'
import { type Platform, startPlatform } from '../support/platform.ts'

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform({
    env: { AIDEPLOY_EXTENSIONS: join(import.meta.dirname, '../../examples/custom-optimizer.ts') },
  })
})
afterAll(async () => {
  await platform?.stop()
  await platform?.remove()
})

it('an optimizer from a file of the user’s is run, measured and published like the platform’s own', async () => {
  const upload = await platform.upload('alexa.onnx', readFileSync(realModel('alexa_v0.1.onnx')))
  const { model_id } = z.object({ model_id: z.string() }).parse(upload.body)
  const started = await platform.call('POST', `/models/${model_id}/optimize`, { method: 'custom', target_size: '300KB' })
  expect(started).toMatchObject({ status: 200, body: { optimization_method: 'custom', status: 'optimizing' } })
  const { id } = z.object({ id: z.string() }).parse(started.body)
  for (;;) {
    const done = OptimizedModelReply.parse((await platform.call('GET', `/models/${model_id}/optimized/${id}`)).body)
    if (done.status === 'optimizing') {
      await new Promise((resolve) => setTimeout(resolve, 100))
      continue
    }
    expect(done).toMatchObject({ status: 'completed', target_met: true, attempts: [{ name: 'int8-but', verdict: 'published' }] })
    return
  }
})
