import { awsCode, awsFailure } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import { pauseOf, type RemovalParts } from './parts.ts'

type Waiting = Pick<RemovalParts, 'pause'>

const absent = new Set([
  'ResourceNotFoundException',
  'ProvisionedConcurrencyConfigNotFoundException',
  'NoSuchEntity',
  'NoSuchEntityException',
  'ObjectNotFoundException',
])

/** The answer, or undefined when what was asked for is not there. */
export const orAbsent = async <Answer>(asked: Promise<Answer>): Promise<Answer | undefined> => {
  try {
    return await asked
  } catch (error) {
    if (absent.has(awsCode(error))) return undefined
    throw error
  }
}

/** Someone else changed it since it was read, or is changing it. */
export const isOvertaken = (error: unknown): boolean => awsCode(error) === 'PreconditionFailedException'
const isBusy = (error: unknown): boolean => awsCode(error) === 'ResourceConflictException'

/** A role that was made a moment ago is not known everywhere yet; IAM says so only by these words. */
const isRoleUnknown = (error: unknown): boolean =>
  awsCode(error) === 'InvalidParameterValueException' && /role.*(cannot be assumed|is invalid)/i.test(String(error))

const busyLimit_ms = 120_000
const busyEvery_ms = 1_000

const sendAgain = async <Answer>(
  parts: Waiting,
  send: () => Promise<Answer>,
  passes: (error: unknown) => boolean,
): Promise<Answer> => {
  for (let waited_ms = 0; ; waited_ms += busyEvery_ms) {
    try {
      return await send()
    } catch (error) {
      if (!passes(error) || waited_ms >= busyLimit_ms) throw error
      await pauseOf(parts)(busyEvery_ms)
    }
  }
}

/** Sends again while Lambda is busy with the function or does not know its new role yet, for at most two minutes. */
export const whenFree = <Answer>(parts: Waiting, send: () => Promise<Answer>): Promise<Answer> =>
  sendAgain(parts, send, (error) => isBusy(error) || isRoleUnknown(error))

/** Where a conflict means that it is there already: waits for the role alone. */
export const whenRoleKnown = <Answer>(parts: Waiting, send: () => Promise<Answer>): Promise<Answer> =>
  sendAgain(parts, send, isRoleUnknown)

/** Looks until `look` answers something. Fails with `unavailable` after `limit_ms`; what AWS does goes on, a repeat looks again. */
export const until = async <Answer>(
  parts: Waiting,
  what: string,
  limit_ms: number,
  look: () => Promise<Answer | undefined>,
): Promise<Answer> => {
  let every_ms = 500
  for (let waited_ms = 0; ; ) {
    const seen = await look()
    if (seen !== undefined) return seen
    if (waited_ms >= limit_ms)
      throw new PlatformError('unavailable', `${what} took longer than ${limit_ms / 1000} s`, { retry_after_s: 30 })
    await pauseOf(parts)(every_ms)
    waited_ms += every_ms
    every_ms = Math.min(5_000, every_ms * 1.5)
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message.slice(0, 300) : 'no reason given')

/** One verb of the deployer: whatever AWS refuses becomes the platform's own error. */
export const translated = async <Answer>(doing: string, act: () => Promise<Answer>): Promise<Answer> => {
  try {
    return await act()
  } catch (error) {
    throw awsFailure(error, doing, {
      // New accounts give a function 3,008 MB at most; AWS names the quota in its words alone.
      InvalidParameterValueException: ['unavailable_here', `${doing}: AWS refuses what was asked for (${wordsOf(error)})`],
      ValidationException: ['unavailable_here', `${doing}: AWS refuses what was asked for (${wordsOf(error)})`],
      ResourceConflictException: ['unavailable', `${doing}: AWS is still busy with the function`, { retry_after_s: 10 }],
      PreconditionFailedException: ['version_conflict', `${doing}: somebody else changed the function meanwhile`],
      CodeStorageExceededException: [
        'unavailable',
        `${doing}: the account's storage for Lambda code is full (quota "Function and layer storage")`,
      ],
      LimitExceeded: ['unavailable', `${doing}: the account has as many IAM roles as it may have (quota "Roles per account")`],
      LimitExceededException: ['unavailable', `${doing}: a quota of the account is used up`],
    })
  }
}
