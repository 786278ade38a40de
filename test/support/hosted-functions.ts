import { buffer } from 'node:stream/consumers'
import { ProbeEvent } from '../../layers/core/contract/model-function.ts'
import type { CloudOptions } from './lambda-cloud/state.ts'
import type { LambdaFunction } from './lambda-environments.ts'
import type { LambdaHost } from './lambda-runtime.ts'

/**
 * Runs what the Lambda cloud calls in real environments with the real bundle: each version with the environment that the deployer gave
 * it, and with `extra` (where bucket and table of the tests are). `functions` is the host's own map.
 */
export const hostedFunctions =
  (
    host: LambdaHost,
    functions: Map<string, LambdaFunction>,
    bundle: Pick<LambdaFunction, 'folder'>,
    extra: Record<string, string> = {},
  ): CloudOptions['run'] =>
  async ({ name, version, environment, event }) => {
    const id = `${name}_${version}`
    if (!functions.has(id))
      functions.set(id, {
        ...bundle,
        handler: 'handler.handler',
        environment: { ...environment, ...extra },
        timeout_s: Number(environment.AIDEPLOY_TIMEOUT_S) + 5,
        memory_mb: Number(environment.AIDEPLOY_MEMORY_LIMIT_BYTES) / 2 ** 20,
      })
    if (ProbeEvent.safeParse(event).success) {
      const { payload, function_error } = await host.invoke(id, event)
      if (function_error) throw new Error(function_error.errorMessage)
      return JSON.parse(payload.toString())
    }
    const { prelude, body } = await host.invokeStream(id, event)
    const bytes = await buffer(body)
    return { statusCode: prelude?.statusCode ?? 200, headers: prelude?.headers ?? {}, body: bytes.toString('base64') }
  }
