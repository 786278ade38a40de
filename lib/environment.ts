import { Stack } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { deployerEnvironment, processingEnvironment } from './constructs/runtime-files.ts'
import { names } from './names.ts'
import type { Parts } from './parts.ts'
import type { Unit } from './units.ts'

type Variables = (scope: Construct, parts: Parts, unit: Unit) => Record<string, string>

/**
 * What a function is told, by what its rows need; `layers/compose/aws.ts` parses it. No value is a secret: those are read from
 * Secrets Manager by name.
 */
export const environmentOf = (scope: Construct, unit: Unit, parts: Parts): Record<string, string> =>
  Object.assign({}, ...groups.filter(({ wanted }) => wanted(unit)).map(({ variables }) => variables(scope, parts, unit)))

const needs =
  (pattern: RegExp) =>
  (unit: Unit): boolean =>
    unit.needs.some((need) => pattern.test(need))
const always = (): boolean => true
/** Every call is proven by the function that answers it. */
const provesCallers = (unit: Unit): boolean =>
  unit.kind === 'http' ||
  unit.kind === 'stream' ||
  unit.needs.some((need) => need.startsWith('identity:')) ||
  /^deployers:/m.test(unit.needs.join('\n'))

const groups: readonly { wanted: (unit: Unit) => boolean; variables: Variables }[] = [
  {
    wanted: always,
    variables: (scope, { stage, data, publicUrl }) => ({
      AIDEPLOY_STAGE: stage.name,
      AIDEPLOY_ACCOUNT: Stack.of(scope).account,
      AIDEPLOY_PARTITION: Stack.of(scope).partition,
      AIDEPLOY_TABLE: data.table.tableName,
      AIDEPLOY_BUCKET: data.artifacts.bucketName,
      ...(publicUrl !== undefined && { AIDEPLOY_PUBLIC_URL: publicUrl }),
      NODE_OPTIONS: '--enable-source-maps',
    }),
  },
  {
    wanted: provesCallers,
    variables: (_scope, { identity, stage }) => ({
      ...(identity && { AIDEPLOY_USER_POOL_ID: identity.userPoolId, AIDEPLOY_USER_POOL_CLIENT_ID: identity.userPoolClientId }),
      ...(stage.oidcIssuers.length > 0 && { AIDEPLOY_OIDC_ISSUERS: JSON.stringify(stage.oidcIssuers) }),
    }),
  },
  {
    wanted: (unit) => unit.kind === 'step' || needs(/^workflows:/)(unit),
    variables: (scope, { stage }) => {
      const { partition, region, account } = Stack.of(scope)
      return {
        AIDEPLOY_MACHINE_ARN_PREFIX: `arn:${partition}:states:${region}:${account}:stateMachine:${names(stage).machine('')}`,
      }
    },
  },
  {
    wanted: (unit) => unit.kind === 'http' || unit.kind === 'stream' || needs(/^deployers:/)(unit),
    variables: (_scope, { stage }) => ({
      ...(stage.corsOrigins.length > 0 && { AIDEPLOY_CORS_ORIGINS: stage.corsOrigins.join(',') }),
    }),
  },
  { wanted: needs(/^events:/), variables: (_scope, { stage }) => ({ AIDEPLOY_EVENT_BUS: names(stage).eventBus }) },
  { wanted: needs(/^secrets:/), variables: (_scope, { stage }) => ({ AIDEPLOY_SECRETS_PREFIX: names(stage).secretsPrefix }) },
  {
    wanted: needs(/^mail:/),
    variables: (_scope, { stage }) => ({ ...(stage.mailFrom !== undefined && { AIDEPLOY_MAIL_FROM: stage.mailFrom }) }),
  },
  {
    wanted: needs(/^artifacts:/),
    variables: (_scope, { stage }) => ({
      AIDEPLOY_ARCHIVE_AFTER_DAYS: String(stage.archiveAfterDays),
      ...(stage.deleteAfterDays !== undefined && { AIDEPLOY_DELETE_AFTER_DAYS: String(stage.deleteAfterDays) }),
    }),
  },
  { wanted: needs(/^deployers:/), variables: deployerEnvironment },
  { wanted: needs(/^processing:/), variables: processingEnvironment },
]
