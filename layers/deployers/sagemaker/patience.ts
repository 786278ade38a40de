import { setTimeout as pause } from 'node:timers/promises'
import { awsCode, awsFailure } from '../../aws/failure.ts'
import { isPlatformError, PlatformError } from '../../core/contract/errors.ts'
import type { SagemakerParts } from './parts.ts'

type Waits = Pick<SagemakerParts, 'deadline_ms' | 'poll_ms' | 'role_new_ms'>

/** What a call of AWS says besides success; SageMaker answers `ValidationException` to nearly everything and explains itself in words. */
const says = (error: unknown, words: RegExp): boolean => error instanceof Error && words.test(error.message)
export const isAbsent = (error: unknown): boolean =>
  /^(NoSuchEntity|NoSuchEntityException|ResourceNotFoundException|ResourceNotFound|ObjectNotFoundException)$/.test(
    awsCode(error),
  ) ||
  (awsCode(error) === 'ValidationException' && says(error, /could not find|does not exist|not found|no scalable target/i))
export const isThere = (error: unknown): boolean =>
  /^(EntityAlreadyExists|EntityAlreadyExistsException|ResourceAlreadyExistsException)$/.test(awsCode(error)) ||
  (awsCode(error) === 'ValidationException' && says(error, /already exist/i))
/** A role was made just now and is not known everywhere yet: it takes IAM up to half a minute. */
export const isTooEarly = (error: unknown): boolean =>
  says(error, /could not assume role|role.*(invalid|cannot be assumed)|could not access model data/i)
/** The endpoint is between two states and takes no orders. */
export const isBusy = (error: unknown): boolean =>
  awsCode(error) === 'ResourceInUse' || says(error, /in-?progress|cannot (update|delete|be (updated|deleted))|currently|while/i)

/** The answer, or undefined where what was asked about is not there. */
export const orAbsent = async <Answer>(work: Promise<Answer>, doing: string): Promise<Answer | undefined> => {
  try {
    return await work
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw awsFailure(error, doing)
  }
}

/** Repeats `look` until it answers something; `work_pending` when that takes longer than one verb may. */
export const until = async <Answer>(
  { deadline_ms = Date.now(), poll_ms = 5_000 }: Waits,
  doing: string,
  look: () => Promise<Answer | undefined>,
): Promise<Answer> => {
  for (;;) {
    const answer = await look()
    if (answer !== undefined) return answer
    if (Date.now() + poll_ms > deadline_ms)
      throw new PlatformError('work_pending', `${doing} takes longer; it goes on`, { retry_after_s: 30 })
    await pause(poll_ms)
  }
}

/**
 * Repeats a call that is refused only because it came too early or at the wrong moment. A role that is not known after a minute is not
 * new any more: when the verb's time is up then, what AWS said is thrown, since to wait on would be for ever.
 */
export const patiently = async <Answer>(
  parts: Waits,
  doing: string,
  refused: (error: unknown) => boolean,
  call: () => Promise<Answer>,
): Promise<Answer> => {
  const began_ms = Date.now()
  let last: unknown
  try {
    return await until(parts, doing, async () => {
      try {
        return await call()
      } catch (error) {
        if (!refused(error)) throw error
        last = error
        return undefined
      }
    })
  } catch (error) {
    const isNew = Date.now() - began_ms < (parts.role_new_ms ?? 60_000)
    throw isPlatformError(error, 'work_pending') && isTooEarly(last) && !isNew ? last : error
  }
}
