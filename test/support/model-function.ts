import * as z from 'zod'
import { ModelFunctionEnvironment, PlatformCall, ProbeEvent } from '../../layers/core/contract/model-function.ts'
import type { CloudOptions } from './lambda-cloud/state.ts'

const UrlCall = PlatformCall.extend({ platform: z.literal(true).optional() })

/**
 * Stands in for the model function: answers the probe, echoes a call with its revision and who sent it. It reads its environment as the
 * real one does, so a variable that is missing or wrong is a crash.
 */
export const echoFunction =
  (broken: Set<number> = new Set()): CloudOptions['run'] =>
  async ({ environment, event }) => {
    const settings = ModelFunctionEnvironment.parse(environment)
    const revision = settings.AIDEPLOY_REVISION
    if (broken.has(revision)) throw new Error(`revision ${revision} cannot load its model`)
    if (ProbeEvent.safeParse(event).success) return { ready: true, revision }
    const call = UrlCall.parse(event)
    const said = {
      revision,
      path: call.rawPath,
      body: Buffer.from(call.body ?? '', 'base64').toString(),
      by: call.platform ? 'platform' : 'url',
    }
    const usage = { compute_us: 7, cpu_us: 6, cold: true, init_us: 5, memory_bytes: 4, batch_size: 1 }
    return {
      statusCode: 200,
      headers: { 'content-type': 'application/json', ...(call.platform && { 'X-AiDeploy-Usage': JSON.stringify(usage) }) },
      body: Buffer.from(JSON.stringify(said)).toString('base64'),
    }
  }
