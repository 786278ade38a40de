import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { CloudOptions } from '../support/lambda-cloud/state.ts'
import type { LambdaFunction } from '../support/lambda-environments.ts'
import type { LambdaHost } from '../support/lambda-runtime.ts'

/**
 * Runs versions of deployments' functions with the real bundle: the control plane's `run` on the environments' host. Each version is a
 * function of the host by itself.
 */
export const modelFunctions = (
  host: () => LambdaHost,
  functions: Map<string, LambdaFunction>,
  bundles: string,
  endpoints: Readonly<Record<string, string>>,
): CloudOptions['run'] => {
  return async ({ name, version, environment, event }) => {
    const id = `${name}:${version}`
    if (!functions.has(id))
      functions.set(id, {
        folder: join(bundles, 'runtime'),
        handler: 'handler.handler',
        environment: { ...environment, ...endpoints, AWS_ACCESS_KEY_ID: name },
        timeout_s: 60,
        memory_mb: 2048,
      })
    const { prelude, body } = await host().invokeStream(id, event)
    const bytes = await whole(body)
    if (prelude === undefined) return JSON.parse(bytes.toString() || 'null')
    return { statusCode: prelude.statusCode ?? 200, headers: prelude.headers ?? {}, body: bytes.toString('base64') }
  }
}

const whole = async (body: Readable): Promise<Buffer> => {
  const pieces: Buffer[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces)
}
