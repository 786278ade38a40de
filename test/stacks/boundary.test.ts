import { beforeAll, describe, expect, it } from 'vitest'
import { rolePolicy } from '../../layers/deployers/lambda/policy.ts'
import { rolePolicy as containerPolicy } from '../../layers/deployers/sagemaker/role.ts'
import { type AllowStatement, allowStatements } from '../support/statements.ts'
import { synthesised, templateOf } from '../support/synthesised.ts'

/** `${AWS::Region}` of the template is written as plain `Region` here. */
const place = {
  stage: 'dev',
  partition: 'Partition',
  region: 'Region',
  account: 'AccountId',
  bucket: 'BUCKET',
  table: 'TABLE',
}

let boundary: AllowStatement[]
beforeAll(() => {
  boundary = allowStatements(templateOf(synthesised().data)).filter(({ owner }) => owner.startsWith('boundary'))
})

/** IAM's `*` and nothing else; the template names bucket and table by reference. */
const matches = (pattern: string, arn: string): boolean => {
  const named = pattern
    .replace(/\$\{AWS::(\w+)\}/g, '$1')
    .replace(/\$\{artifacts[^}]*\}/, 'arn:Partition:s3:::BUCKET')
    .replace(/\$\{records[^}]*\}/, 'arn:Partition:dynamodb:Region:AccountId:table/TABLE')
  return new RegExp(
    `^${named
      .split('*')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  ).test(arn)
}

const allows = (action: string, arn: string): boolean =>
  boundary.some(({ actions, resources }) => actions.includes(action) && resources.some((pattern) => matches(pattern, arn)))

describe('the permissions boundary', () => {
  it('holds everything a deployment’s function is given, so that no statement of its role is void', () => {
    const { Statement } = rolePolicy(place, { id: 'dep_1', organization_id: 'org_1', record_requests: { rows: 8 } })
    const void_ = Statement.flatMap(({ Action, Resource }) =>
      Action.flatMap((action) => Resource.filter((arn) => !allows(action, arn)).map((arn) => `${action} on ${arn}`)),
    )
    expect(void_).toEqual([])
  })

  it('holds everything a deployment’s container is given', () => {
    const { Statement } = containerPolicy({ ...place, log_retention_days: 14 } as never, 'dep_1')
    const void_ = Statement.flatMap(({ Action, Resource }) =>
      Action.flatMap((action) =>
        [Resource]
          .flat()
          .filter((arn) => !allows(action, arn))
          .map((arn) => `${action} on ${arn}`),
      ),
    )
    expect(void_).toEqual([])
  })

  it('holds nothing that makes roles, reads secrets or reaches another artifact', () => {
    const actions = boundary.flatMap(({ actions: named }) => named)
    expect(actions.filter((action) => /^(iam|sts|secretsmanager|lambda|cognito-idp|states):|Delete|Scan/.test(action))).toEqual(
      [],
    )
    expect(allows('s3:GetObject', 'arn:Partition:s3:::BUCKET/models/org_1/mod_1/original')).toBe(false)
  })
})
