import {
  CreateFunctionCommand,
  type FunctionConfiguration,
  GetFunctionConfigurationCommand,
  PublishVersionCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda'
import { awsCode } from '../../aws/failure.ts'
import { PlatformError } from '../../core/contract/errors.ts'
import type { LambdaParts } from './parts.ts'
import { isOvertaken, orAbsent, until, whenFree, whenRoleKnown } from './patience.ts'
import { listVersions } from './versions.ts'
import { revisionIn, type WantedFunction } from './wanted.ts'

/** AWS may take minutes to make a function of the first layer of its kind. */
const settleLimit_ms = 180_000
const mostTries = 8

/**
 * The published version for what is wanted, made where there is none. Several runs may work on one function: each publishes only what it
 * wrote itself, and the higher revision wins. Fails with `conflict` when a newer revision is being made, `unavailable` when AWS refuses
 * the function or takes too long.
 */
export const ensureVersion = async (parts: LambdaParts, wanted: WantedFunction): Promise<string> => {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const published = (await listVersions(parts, wanted.name)).find(({ description }) => description === wanted.description)
    if (published) return settledVersion(parts, wanted.name, published.version)
    const latest = await ensureLatest(parts, wanted)
    try {
      const { Version = '' } = await whenFree(parts, () =>
        parts.lambda().send(
          new PublishVersionCommand({
            FunctionName: wanted.name,
            Description: wanted.description,
            ...(latest.RevisionId && { RevisionId: latest.RevisionId }),
          }),
        ),
      )
      return await settledVersion(parts, wanted.name, Version)
    } catch (error) {
      if (!isOvertaken(error)) throw error
    }
  }
  throw new PlatformError('unavailable', `Function ${wanted.name} is being changed by others all the time`, { retry_after_s: 30 })
}

/** The unpublished function as wanted. Code first, description last: where the description is ours, all of it is. */
const ensureLatest = async (parts: LambdaParts, wanted: WantedFunction): Promise<FunctionConfiguration> => {
  const FunctionName = wanted.name
  const present = await settledLatest(parts, FunctionName)
  if (present === undefined) return createFunction(parts, wanted)
  if (present.Description === wanted.description) return present
  const newer = revisionIn(present.Description) ?? 0
  if (newer > wanted.revision)
    throw new PlatformError(
      'conflict',
      `Revision ${newer} of ${FunctionName} is being made; revision ${wanted.revision} is too late`,
    )
  await overtakable(() =>
    whenFree(parts, () =>
      parts.lambda().send(
        new UpdateFunctionCodeCommand({
          FunctionName,
          Architectures: wanted.architectures,
          ...wanted.code,
          ...revision(present),
        }),
      ),
    ),
  )
  const coded = await settledLatest(parts, FunctionName)
  await overtakable(() =>
    whenFree(parts, () =>
      parts.lambda().send(
        new UpdateFunctionConfigurationCommand({
          FunctionName,
          Description: wanted.description,
          ...wanted.configuration,
          ...(coded ? revision(coded) : {}),
        }),
      ),
    ),
  )
  return (await settledLatest(parts, FunctionName)) ?? present
}

const revision = ({ RevisionId }: FunctionConfiguration) => (RevisionId === undefined ? {} : { RevisionId })

/** Who is overtaken goes on: publishing finds out, by the description, whether the function is still ours. */
const overtakable = async (act: () => Promise<unknown>): Promise<void> => {
  try {
    await act()
  } catch (error) {
    if (!isOvertaken(error)) throw error
  }
}

const createFunction = async (parts: LambdaParts, wanted: WantedFunction): Promise<FunctionConfiguration> => {
  const command = new CreateFunctionCommand({
    FunctionName: wanted.name,
    Description: wanted.description,
    Architectures: wanted.architectures,
    Code: wanted.code,
    Tags: wanted.tags,
    ...wanted.configuration,
  })
  // A function that is there already answers the same code as a busy one; the next look decides.
  for (let tries = 0; tries < mostTries; tries += 1) {
    try {
      await whenRoleKnown(parts, () => parts.lambda().send(command))
    } catch (error) {
      if (awsCode(error) !== 'ResourceConflictException') throw error
    }
    const made = await settledLatest(parts, wanted.name)
    if (made) return made
  }
  throw new PlatformError('unavailable', `Function ${wanted.name} could not be made: it comes and goes`, { retry_after_s: 30 })
}

/** The function once AWS has finished with it; undefined when there is none. */
export const settledLatest = (parts: LambdaParts, FunctionName: string): Promise<FunctionConfiguration | undefined> =>
  settled(parts, FunctionName)

const settledVersion = async (parts: LambdaParts, FunctionName: string, Version: string): Promise<string> => {
  const found = await settled(parts, FunctionName, Version)
  if (found === undefined)
    throw new PlatformError('unavailable', `Version ${Version} of ${FunctionName} is gone`, { retry_after_s: 5 })
  return Version
}

const settled = async (parts: LambdaParts, FunctionName: string, Qualifier?: string) => {
  const asked = new GetFunctionConfigurationCommand({ FunctionName, ...(Qualifier && { Qualifier }) })
  const seen = await until(parts, `Function ${FunctionName}`, settleLimit_ms, async () => {
    const found = await orAbsent(parts.lambda().send(asked))
    if (found === undefined) return { absent: true } as const
    const works = found.State === 'Pending' || found.LastUpdateStatus === 'InProgress'
    return works ? undefined : { absent: false, found }
  })
  if (seen.absent) return undefined
  const { found } = seen
  if (found.State === 'Failed' || found.LastUpdateStatus === 'Failed')
    throw new PlatformError(
      'unavailable',
      `AWS could not make function ${FunctionName}: ${found.LastUpdateStatusReason ?? found.StateReason ?? 'no reason given'}`,
      { retry_after_s: 30 },
    )
  return found
}
