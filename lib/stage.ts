import type * as z from 'zod'
import { type ParameterName, parameters } from './parameters.ts'

type Given = { [Name in ParameterName]: z.output<(typeof parameters)[Name]['schema']> }

/** A stage as the stacks see it: the parameters, with the defaults that depend on each other filled in. */
export interface Stage extends Omit<Given, 'stage' | 'protect' | 'logRetentionDays' | 'requestsPerSecond'> {
  name: string
  /** Stateful parts outlive their stack in any case; protected ones also refuse deletion. */
  protectData: boolean
  logRetentionDays: number
  throttle: { rateLimit: number; burstLimit: number }
}

/** The caller named a stage that cannot be; the message says all that is wrong with it. */
export class StageError extends Error {
  override name = 'StageError'
}

/** What CDK itself and its tools put into the context beside our parameters. */
const foreign = (name: string): boolean => /[@:/]/.test(name) || /^(cli-|availability-zones|acknowledged-issue|cdk-)/.test(name)

/**
 * Reads a stage from the CDK context. Fails with one message that names every wrong parameter, what it got and what was wanted;
 * a name nobody knows is wrong too, because a misspelt parameter would otherwise be a default nobody asked for.
 */
export const readStage = (context: Record<string, unknown>): Stage => {
  const wrong: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, { schema }] of Object.entries(parameters)) {
    const parsed = schema.safeParse(context[name])
    if (parsed.success) values[name] = parsed.data
    else
      wrong.push(
        ...parsed.error.issues.map((issue) => `${[name, ...issue.path].join('.')} = ${shown(context[name])}: ${issue.message}`),
      )
  }
  for (const name of Object.keys(context))
    if (!(name in parameters) && !foreign(name))
      wrong.push(`${name} is no parameter; wanted one of ${Object.keys(parameters).join(', ')}`)
  if (wrong.length === 0) wrong.push(...together(values as Given))
  if (wrong.length > 0) throw new StageError(`The stage is not as wanted:\n  ${wrong.join('\n  ')}`)
  return completed(values as Given)
}

const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 200))

/** What single parameters cannot say. */
const together = (given: Given): string[] => [
  ...(given.replicaBucketArn !== undefined && given.replicaRegion === undefined
    ? ['replicaBucketArn is set but replicaRegion is not; wanted both']
    : []),
  ...(given.monthlyBudgetUsd !== undefined && given.alarmEmail === undefined
    ? ['monthlyBudgetUsd is set but alarmEmail is not; wanted an address to warn']
    : []),
  ...(given.replicaRegion !== undefined && given.region === undefined
    ? ['replicaRegion is set but region is not; wanted both, because a replica cannot be planned for a region nobody named']
    : []),
  ...(given.replicaRegion !== undefined && given.kmsKey
    ? ['kmsKey and replicaRegion are both set; a key of this stack is of no use in the other region, wanted one of them']
    : []),
  ...(given.replicaRegion !== undefined && given.replicaRegion === given.region
    ? [`replicaRegion = "${given.replicaRegion}": wanted another region than the stage’s own`]
    : []),
  ...(given.deleteAfterDays !== undefined && given.deleteAfterDays <= given.archiveAfterDays
    ? [`deleteAfterDays = ${given.deleteAfterDays}: wanted more than archiveAfterDays, ${given.archiveAfterDays}`]
    : []),
  // CloudFront reads certificates of us-east-1 only; a regional gateway those of its own region.
  ...elsewhere('webDomain', given.webDomain?.certificateArn, 'us-east-1'),
  ...elsewhere('customDomain', given.customDomain?.certificateArn, given.region),
]

const elsewhere = (name: string, certificate: string | undefined, wanted: string | undefined): string[] => {
  const region = certificate?.split(':')[3]
  return region === undefined || wanted === undefined || region === wanted
    ? []
    : [`${name}.certificateArn = "${certificate}": is a certificate of ${region}; wanted one of ${wanted}`]
}

const completed = ({ stage, protect, logRetentionDays, requestsPerSecond, ...rest }: Given): Stage => {
  const large = stage === 'prod'
  const rateLimit = requestsPerSecond ?? (large ? 1000 : 100)
  return {
    ...rest,
    name: stage,
    protectData: protect ?? large,
    logRetentionDays: logRetentionDays ?? (large ? 90 : 14),
    throttle: { rateLimit, burstLimit: rateLimit * 2 },
  }
}
