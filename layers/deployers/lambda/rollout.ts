import { GetMetricDataCommand, type MetricDataQuery } from '@aws-sdk/client-cloudwatch'
import { PlatformError } from '../../core/contract/errors.ts'
import { type Alias, pointAlias, readAlias, sameAlias } from './alias.ts'
import { LIVE } from './names.ts'
import { type LambdaParts, pauseOf } from './parts.ts'

/** Share of the requests a new version gets while it is watched. */
const firstShare = 0.1
const watchEvery_ms = 15_000
const leastRequests = 10
const mostErrors = 0.05

export interface Seen {
  invocations: number
  errors: number
}

/** Why the new version must not take over, or undefined. Without traffic there is nothing to hold against it. */
export const alarm = (fresh: Seen, old: Seen): string | undefined => {
  const rate = ({ errors, invocations }: Seen) => (invocations === 0 ? 0 : errors / invocations)
  const limit = Math.max(mostErrors, 2 * rate(old))
  if (fresh.invocations < leastRequests || rate(fresh) <= limit) return undefined
  const percent = (part: number) => `${(part * 100).toFixed(1)} %`
  return `${fresh.errors} of ${fresh.invocations} requests failed (${percent(rate(fresh))}, allowed ${percent(limit)}; the version before: ${old.errors} of ${old.invocations})`
}

/**
 * Lets the new version take over from the one that serves: a tenth of the requests first, watched for `seconds` by AWS's own counts, then
 * all. On alarm, and whenever it cannot go on, the alias is as it was before. Fails with `model_error` telling the numbers.
 */
export const rollOut = async (
  parts: LambdaParts,
  FunctionName: string,
  before: Alias,
  version: string,
  seconds: number,
): Promise<void> => {
  if (seconds === 0 || before.version === version) return void (await takeOver(parts, FunctionName, version, before))
  const old = { version: before.version, weights: {} }
  try {
    const shared = await pointAlias(parts, FunctionName, { ...old, weights: { [version]: firstShare } }, before)
    await watch(parts, FunctionName, before.version, version, seconds)
    await takeOver(parts, FunctionName, version, shared)
  } catch (error) {
    await restore(parts, FunctionName, old, version)
    throw error
  }
}

const takeOver = async (parts: LambdaParts, FunctionName: string, version: string, seen: Alias): Promise<void> => {
  const wanted = { version, weights: {} }
  if (!sameAlias(seen, wanted)) await pointAlias(parts, FunctionName, wanted, seen)
}

/** Only where it still is what this run made of it; a failure here is found by `reconcile`. */
const restore = async (parts: LambdaParts, FunctionName: string, old: Pick<Alias, 'version' | 'weights'>, version: string) => {
  try {
    const now = await readAlias(parts, FunctionName)
    if (now?.version === old.version && version in now.weights) await pointAlias(parts, FunctionName, old, now)
  } catch (error) {
    parts.log.warn('alias_not_restored', { function_name: FunctionName, version, error: String(error) })
  }
}

const watch = async (parts: LambdaParts, FunctionName: string, old: string, fresh: string, seconds: number): Promise<void> => {
  const since = parts.now()
  for (let watched_ms = 0; watched_ms < seconds * 1000; watched_ms += watchEvery_ms) {
    await pauseOf(parts)(Math.min(watchEvery_ms, seconds * 1000 - watched_ms))
    const seen = await counts(parts, FunctionName, since, [old, fresh])
    const reason = alarm(seen[1] ?? { invocations: 0, errors: 0 }, seen[0] ?? { invocations: 0, errors: 0 })
    if (reason !== undefined)
      throw new PlatformError('model_error', `The new version was taken back: ${reason}`, { facts: { watched_s: seconds } })
  }
}

/** Invocations and errors of each version through the alias since a moment; CloudWatch counts by the minute and some time late. */
const counts = async (parts: LambdaParts, FunctionName: string, since: Date, versions: string[]): Promise<Seen[]> => {
  const metric = (MetricName: string, version: string, Id: string): MetricDataQuery => ({
    Id,
    MetricStat: {
      Period: 60,
      Stat: 'Sum',
      Metric: {
        Namespace: 'AWS/Lambda',
        MetricName,
        Dimensions: [
          { Name: 'FunctionName', Value: FunctionName },
          { Name: 'Resource', Value: `${FunctionName}:${LIVE}` },
          { Name: 'ExecutedVersion', Value: version },
        ],
      },
    },
  })
  const { MetricDataResults = [] } = await parts.cloudwatch().send(
    new GetMetricDataCommand({
      StartTime: new Date(Math.floor(since.getTime() / 60_000) * 60_000),
      EndTime: new Date(parts.now().getTime() + 60_000),
      MetricDataQueries: versions.flatMap((version, at) => [
        metric('Invocations', version, `invocations${at}`),
        metric('Errors', version, `errors${at}`),
      ]),
    }),
  )
  const sum = (id: string) =>
    (MetricDataResults.find(({ Id }) => Id === id)?.Values ?? []).reduce((total, value) => total + value, 0)
  return versions.map((_, at) => ({ invocations: sum(`invocations${at}`), errors: sum(`errors${at}`) }))
}
