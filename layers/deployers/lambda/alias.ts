import { type AliasConfiguration, CreateAliasCommand, GetAliasCommand, UpdateAliasCommand } from '@aws-sdk/client-lambda'
import { awsCode } from '../../aws/failure.ts'
import { LIVE } from './names.ts'
import type { LambdaParts } from './parts.ts'
import { isOvertaken, orAbsent, whenFree } from './patience.ts'

/** Which version answers, and which other one answers a share of the requests. */
export interface Alias {
  version: string
  weights: Record<string, number>
  revision_id: string | undefined
}

const aliasOf = ({ FunctionVersion = '', RoutingConfig, RevisionId }: AliasConfiguration): Alias => ({
  version: FunctionVersion,
  weights: RoutingConfig?.AdditionalVersionWeights ?? {},
  revision_id: RevisionId,
})

export const readAlias = async (parts: Pick<LambdaParts, 'lambda'>, FunctionName: string): Promise<Alias | undefined> => {
  const found = await orAbsent(parts.lambda().send(new GetAliasCommand({ FunctionName, Name: LIVE })))
  return found && aliasOf(found)
}

/** Makes the alias; one that is there already stays as it is. */
export const createAlias = async (parts: LambdaParts, FunctionName: string, version: string): Promise<Alias> => {
  try {
    return aliasOf(await parts.lambda().send(new CreateAliasCommand({ FunctionName, Name: LIVE, FunctionVersion: version })))
  } catch (error) {
    if (awsCode(error) !== 'ResourceConflictException') throw error
    const found = await readAlias(parts, FunctionName)
    if (found === undefined) throw error
    return found
  }
}

/** Points the alias at `version`, with shares for others; `seen` makes it fail when somebody changed it meanwhile. */
export const pointAlias = async (
  parts: Pick<LambdaParts, 'lambda' | 'pause'>,
  FunctionName: string,
  wanted: Pick<Alias, 'version' | 'weights'>,
  seen?: Alias,
): Promise<Alias> => {
  const command = new UpdateAliasCommand({
    FunctionName,
    Name: LIVE,
    FunctionVersion: wanted.version,
    RoutingConfig: { AdditionalVersionWeights: wanted.weights },
    ...(seen?.revision_id === undefined ? {} : { RevisionId: seen.revision_id }),
  })
  try {
    return aliasOf(await whenFree(parts, () => parts.lambda().send(command)))
  } catch (error) {
    // A call whose answer was lost has overtaken itself.
    const now = isOvertaken(error) ? await readAlias(parts, FunctionName) : undefined
    if (now !== undefined && sameAlias(now, wanted)) return now
    throw error
  }
}

/** Only the version in force answers: warm instances cannot be changed while another one has a share. */
export const endShares = async (parts: Pick<LambdaParts, 'lambda' | 'pause'>, FunctionName: string): Promise<void> => {
  const alias = await readAlias(parts, FunctionName)
  if (alias && Object.keys(alias.weights).length > 0) await pointAlias(parts, FunctionName, { ...alias, weights: {} }, alias)
}

export const sameAlias = (one: Pick<Alias, 'version' | 'weights'>, other: Pick<Alias, 'version' | 'weights'>): boolean =>
  one.version === other.version &&
  Object.keys(one.weights).length === Object.keys(other.weights).length &&
  Object.entries(one.weights).every(([version, weight]) => Math.abs((other.weights[version] ?? 0) - weight) < 1e-6)
