import { DeleteFunctionCommand, paginateListVersionsByFunction } from '@aws-sdk/client-lambda'
import { awsCode } from '../../aws/failure.ts'
import type { LambdaParts } from './parts.ts'
import { orAbsent } from './patience.ts'
import { revisionIn } from './wanted.ts'

export interface PublishedVersion {
  /** Lambda's number, text. */
  version: string
  revision: number
  description: string
}

/** Revisions that stay published, the one in force among them: what a rollback or a canary may want. */
export const keptRevisions = 3

/** The versions we published, oldest first; empty when there is no function. */
export const listVersions = async (parts: Pick<LambdaParts, 'lambda'>, FunctionName: string): Promise<PublishedVersion[]> => {
  const found: PublishedVersion[] = []
  try {
    for await (const page of paginateListVersionsByFunction({ client: parts.lambda() }, { FunctionName }))
      for (const { Version = '$LATEST', Description = '' } of page.Versions ?? []) {
        const revision = revisionIn(Description)
        if (Version !== '$LATEST' && revision !== undefined) found.push({ version: Version, revision, description: Description })
      }
  } catch (error) {
    if (awsCode(error) !== 'ResourceNotFoundException') throw error
  }
  return found.sort((one, other) => Number(one.version) - Number(other.version))
}

/** The newest version of a revision. */
export const versionOf = (versions: readonly PublishedVersion[], revision: number): PublishedVersion | undefined =>
  versions.findLast((one) => one.revision === revision)

/** Fails while an alias names it. */
export const removeVersion = async (
  parts: Pick<LambdaParts, 'lambda'>,
  FunctionName: string,
  Qualifier: string,
): Promise<void> => {
  await orAbsent(parts.lambda().send(new DeleteFunctionCommand({ FunctionName, Qualifier })))
}

/** The revisions to keep when `newest` is in force: it and the two before it that are still published. */
export const revisionsToKeep = (versions: readonly PublishedVersion[], newest: number): Set<number> => {
  const numbers = [...new Set(versions.map(({ revision }) => revision))].filter((revision) => revision <= newest)
  return new Set(numbers.sort((a, b) => b - a).slice(0, keptRevisions))
}
