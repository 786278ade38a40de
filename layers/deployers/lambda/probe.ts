import { InvokeCommand } from '@aws-sdk/client-lambda'
import { awsCode } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import { ProbeReply } from '../../core/contract/model-function.ts'
import type { LambdaParts } from './parts.ts'
import { pauseOf, type RemovalParts } from './parts.ts'

const tries = 4
const apart_ms = 5_000

/**
 * Has one version load its model; answers how long that took, milliseconds. A new role's rights reach S3 some seconds late, so that the
 * first refusals are not final. Fails with `model_error` saying what the function answered.
 */
export const probe = async (parts: LambdaParts, FunctionName: string, version: string): Promise<number> => {
  let said = ''
  for (let attempt = 0; attempt < tries; attempt += 1) {
    if (attempt > 0) await pauseOf(parts)(apart_ms)
    const started_ms = performance.now()
    const answer = await invokeProbe(parts, FunctionName, version)
    if (ProbeReply.safeParse(answer.payload).success) return Math.round(performance.now() - started_ms)
    said = `${answer.error ?? 'not ready'}: ${JSON.stringify(answer.payload).slice(0, 500)}`
  }
  throw new PlatformError('model_error', `Its function did not load the model in ${tries} tries (${said})`)
}

/** Throttled means that it was not run: asked again for a minute. */
const invokeProbe = async (parts: LambdaParts, FunctionName: string, Qualifier: string) => {
  const command = new InvokeCommand({ FunctionName, Qualifier, Payload: new TextEncoder().encode('{"probe":true}') })
  const reply = await unthrottled(parts, () => parts.invoker().send(command))
  return { error: reply.FunctionError, payload: parsed(reply.Payload) }
}

const unthrottled = async <Answer>(parts: Pick<RemovalParts, 'pause'>, send: () => Promise<Answer>): Promise<Answer> => {
  for (let waited_ms = 0; ; waited_ms += apart_ms) {
    try {
      return await send()
    } catch (error) {
      const passes = ['TooManyRequestsException', 'ResourceConflictException', 'ResourceNotReadyException'].includes(
        awsCode(error),
      )
      if (!passes || waited_ms >= 60_000) throw error
      await pauseOf(parts)(apart_ms)
    }
  }
}

const parsed = (payload: Uint8Array | undefined): unknown => {
  const text = new TextDecoder().decode(payload)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
