import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { functionOf, parsedBody } from './functions.ts'
import {
  absent,
  CloudFault,
  type CloudFunction,
  type CloudOptions,
  type CloudState,
  conflict,
  type FunctionAlias,
  invalid,
} from './state.ts'

/** Lambda's aliases, addresses, permissions and concurrency. */

const AliasBody = z.object({
  Name: z
    .string()
    .regex(/^(?!^\d+$)[a-zA-Z0-9-_]{1,128}$/)
    .optional(),
  FunctionVersion: z.string().optional(),
  RoutingConfig: z.object({ AdditionalVersionWeights: z.record(z.string(), z.number().min(0).max(1)).default({}) }).optional(),
  RevisionId: z.string().optional(),
})

export const aliasOf = (fn: CloudFunction, name: string | null): FunctionAlias => {
  const found = fn.aliases.get(name ?? '')
  if (!found) throw absent(`${fn.name}:${name}`)
  return found
}

const checkVersions = (fn: CloudFunction, version: string, weights: Record<string, number>): void => {
  if (!fn.versions.has(version)) throw absent(`${fn.name}:${version}`)
  const others = Object.keys(weights)
  if (others.length > 1) throw invalid('Invalid value for AdditionalVersionWeights. Cannot have more than one entry')
  for (const other of others) {
    if (other === version) throw invalid('Invalid function version. Function version and additional version are the same')
    if (!fn.versions.has(other)) throw absent(`${fn.name}:${other}`)
    if (fn.versions.get(other)?.role !== fn.versions.get(version)?.role)
      throw invalid('Aliases can only route to versions with the same execution role')
  }
}

export const createAlias = (state: CloudState, name: string, given: unknown): FunctionAlias => {
  const fn = functionOf(state, name)
  const { Name = '', FunctionVersion = '', RoutingConfig } = parsedBody(AliasBody, given)
  if (fn.aliases.has(Name)) throw conflict(`Alias already exists: ${name}:${Name}`)
  const weights = RoutingConfig?.AdditionalVersionWeights ?? {}
  checkVersions(fn, FunctionVersion, weights)
  const made: FunctionAlias = { version: FunctionVersion, weights, revision_id: randomUUID(), statements: new Map() }
  fn.aliases.set(Name, made)
  return made
}

export const updateAlias = (
  state: CloudState,
  options: CloudOptions,
  name: string,
  alias: string,
  given: unknown,
): FunctionAlias => {
  const fn = functionOf(state, name)
  const found = aliasOf(fn, alias)
  const { FunctionVersion = found.version, RoutingConfig, RevisionId } = parsedBody(AliasBody, given)
  if (RevisionId !== undefined && RevisionId !== found.revision_id)
    throw new CloudFault('PreconditionFailedException', 412, 'The Revision Id provided does not match the latest Revision Id.')
  const weights = RoutingConfig?.AdditionalVersionWeights ?? found.weights
  checkVersions(fn, FunctionVersion, weights)
  if (found.provisioned && FunctionVersion !== found.version) found.provisioned.looks_left = options.looks
  Object.assign(found, { version: FunctionVersion, weights, revision_id: randomUUID() })
  return found
}

export const aliasReply = ({ region, account }: CloudOptions, fn: string, name: string, alias: FunctionAlias) => ({
  AliasArn: `arn:aws:lambda:${region}:${account}:function:${fn}:${name}`,
  Name: name,
  FunctionVersion: alias.version,
  RevisionId: alias.revision_id,
  ...(Object.keys(alias.weights).length > 0 && { RoutingConfig: { AdditionalVersionWeights: alias.weights } }),
})

const UrlBody = z.looseObject({
  AuthType: z.enum(['NONE', 'AWS_IAM']),
  InvokeMode: z.enum(['BUFFERED', 'RESPONSE_STREAM']),
  Cors: z.looseObject({}).optional(),
})

export const putUrl = (state: CloudState, name: string, alias: string | null, given: unknown, isNew: boolean): FunctionAlias => {
  const found = aliasOf(functionOf(state, name), alias)
  const config = parsedBody(UrlBody, given)
  if (isNew && found.url) throw conflict('FunctionUrlConfig exists for this Lambda function')
  if (!isNew && !found.url) throw absent(`${name} url`)
  const { Cors = {}, ...rest } = config
  found.url = {
    id: found.url?.id ?? randomUUID().replaceAll('-', ''),
    config: { ...rest, ...(Object.keys(Cors).length > 0 && { Cors }) },
  }
  return found
}

const Permission = z.looseObject({
  StatementId: z.string().regex(/^[a-zA-Z0-9-_]{1,100}$/),
  Action: z.string().regex(/^(lambda:[*]|lambda:[a-zA-Z]+|[*])$/),
  Principal: z.string(),
  FunctionUrlAuthType: z.enum(['NONE', 'AWS_IAM']).optional(),
  InvokedViaFunctionUrl: z.boolean().optional(),
})

export const addPermission = (state: CloudState, name: string, alias: string | null, given: unknown): Record<string, unknown> => {
  const found = aliasOf(functionOf(state, name), alias)
  const { StatementId, ...statement } = parsedBody(Permission, given)
  if (found.statements.has(StatementId)) throw conflict(`The statement id (${StatementId}) provided already exists.`)
  if (statement.FunctionUrlAuthType && statement.Action !== 'lambda:InvokeFunctionUrl')
    throw invalid('FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action')
  const kept = { Sid: StatementId, Effect: 'Allow', ...statement }
  found.statements.set(StatementId, kept)
  return kept
}

const reservedSum = (state: CloudState): number =>
  [...state.functions.values()].reduce((sum, { reserved = 0 }) => sum + reserved, 0)
const provisionedUnreserved = (state: CloudState): number =>
  [...state.functions.values()]
    .filter(({ reserved }) => reserved === undefined)
    .flatMap(({ aliases }) => [...aliases.values()])
    .reduce((sum, { provisioned }) => sum + (provisioned?.requested ?? 0), 0)

/** What functions without a reservation share; provisioned instances of theirs come out of it too. */
export const unreserved = (state: CloudState, { concurrency }: CloudOptions): number => concurrency - reservedSum(state)

const tooFew = (what: string): CloudFault =>
  invalid(`Specified ${what} for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].`)

export const putReserved = (state: CloudState, options: CloudOptions, name: string, given: unknown): number => {
  const fn = functionOf(state, name)
  const { ReservedConcurrentExecutions: wanted } = parsedBody(
    z.object({ ReservedConcurrentExecutions: z.number().int().min(0) }),
    given,
  )
  const left = unreserved(state, options) + (fn.reserved ?? 0) - wanted
  if (wanted > 0 && left < 100) throw tooFew('ReservedConcurrentExecutions')
  const warm = [...fn.aliases.values()].reduce((sum, { provisioned }) => sum + (provisioned?.requested ?? 0), 0)
  if (warm > wanted) throw invalid('ReservedConcurrentExecutions must be at least the provisioned concurrency of the function.')
  fn.reserved = wanted
  return wanted
}

export const putProvisioned = (
  state: CloudState,
  options: CloudOptions,
  name: string,
  alias: string | null,
  given: unknown,
): FunctionAlias => {
  const fn = functionOf(state, name)
  const found = aliasOf(fn, alias)
  const { ProvisionedConcurrentExecutions: wanted } = parsedBody(
    z.object({ ProvisionedConcurrentExecutions: z.number().int().min(1) }),
    given,
  )
  if (Object.keys(found.weights).length > 0) throw invalid('Alias with weights can not be used with Provisioned Concurrency')
  if (fn.reserved !== undefined && wanted > fn.reserved)
    throw invalid('Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function')
  if (fn.reserved === undefined && unreserved(state, options) - provisionedUnreserved(state) - wanted < 100)
    throw tooFew('ProvisionedConcurrentExecutions')
  found.provisioned = { requested: wanted, looks_left: options.looks }
  return found
}

export const provisionedReply = ({ provisioned }: FunctionAlias) => {
  if (!provisioned)
    throw new CloudFault(
      'ProvisionedConcurrencyConfigNotFoundException',
      404,
      'No Provisioned Concurrency Config found for this function',
    )
  const ready = provisioned.looks_left <= 0 && provisioned.failed === undefined
  if (provisioned.looks_left > 0) provisioned.looks_left -= 1
  return {
    RequestedProvisionedConcurrentExecutions: provisioned.requested,
    AvailableProvisionedConcurrentExecutions: ready ? provisioned.requested : 0,
    Status: provisioned.failed !== undefined ? 'FAILED' : ready ? 'READY' : 'IN_PROGRESS',
    ...(provisioned.failed !== undefined && { StatusReason: provisioned.failed }),
  }
}
