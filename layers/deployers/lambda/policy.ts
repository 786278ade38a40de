import type { Deployment } from '../../core/domain/deployment.ts'
import { recordedPrefix } from '../../core/domain/recorded-rows.ts'
import { accessUserKey } from '../../core/usecases/access-records.ts'
import { usageMonthKey, usagePartition } from '../../core/usecases/usage-keys.ts'
import { filesPrefix, logGroupName } from './names.ts'
import type { Place } from './parts.ts'

export interface PolicyStatement {
  Sid: string
  Effect: 'Allow'
  Action: string[]
  Resource: string[]
  Condition?: Record<string, Record<string, string | string[]>>
}

export interface PolicyDocument {
  Version: '2012-10-17'
  Statement: PolicyStatement[]
}

/** Partitions of the table a statement holds for; a request always names its keys, so that none slips through `ForAllValues`. */
const onPartitions = (...partitions: string[]) => ({ 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': partitions } })

/**
 * What the function of one deployment may do: read its own model, read who may call it and how far its organisation's month is, write its
 * own usage, its own log and, where it keeps them, a sample of its own requests. Nothing of another deployment, and nothing of its organisation's documents.
 */
export const rolePolicy = (
  place: Place,
  deployment: Pick<Deployment, 'id' | 'organization_id' | 'record_requests'>,
): PolicyDocument => {
  const { partition, region, account, bucket, table, stage, key_arn } = place
  const { id, organization_id, record_requests } = deployment
  const table_arn = `arn:${partition}:dynamodb:${region}:${account}:table/${table}`
  const month = usageMonthKey(organization_id, 0).pk
  const allow = (Sid: string, Action: string[], Resource: string[], Condition?: PolicyStatement['Condition']) =>
    ({ Sid, Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) }) as const
  return {
    Version: '2012-10-17',
    Statement: [
      allow('ReadOwnModel', ['s3:GetObject'], [`arn:${partition}:s3:::${bucket}/${filesPrefix(id)}*`]),
      allow(
        'ReadCallersAndUsage',
        ['dynamodb:GetItem'],
        [table_arn],
        onPartitions(accessUserKey(organization_id, '').pk, month, usagePartition(id)),
      ),
      ...(record_requests
        ? [allow('KeepOwnRequests', ['s3:PutObject'], [`arn:${partition}:s3:::${bucket}/${recordedPrefix(deployment)}*`])]
        : []),
      allow('WriteOwnUsage', ['dynamodb:PutItem'], [table_arn], onPartitions(usagePartition(id))),
      allow(
        'WriteOwnLog',
        ['logs:CreateLogStream', 'logs:PutLogEvents'],
        [`arn:${partition}:logs:${region}:${account}:log-group:${logGroupName(stage, id)}:*`],
      ),
      ...(key_arn === undefined
        ? []
        : [
            allow('ReadEncrypted', ['kms:Decrypt', ...(record_requests ? ['kms:GenerateDataKey'] : [])], [key_arn], {
              StringEquals: { 'kms:ViaService': [`s3.${region}.amazonaws.com`, `dynamodb.${region}.amazonaws.com`] },
            }),
          ]),
    ],
  }
}

/** Who may take the role on: Lambda, for this account's functions. */
export const trustPolicy = ({ account }: Pick<Place, 'account'>) => ({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { Service: 'lambda.amazonaws.com' },
      Action: 'sts:AssumeRole',
      Condition: { StringEquals: { 'aws:SourceAccount': account } },
    },
  ],
})

/** Whether two documents say the same, whatever the order of their members. */
export const sameDocument = (one: unknown, other: unknown): boolean => canonical(one) === canonical(other)

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
