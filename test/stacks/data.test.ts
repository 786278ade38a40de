import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { recordsTable } from '../../layers/records/records-table.ts'
import { resources, synthesised, templateOf } from '../support/synthesised.ts'

let dev: Template
let prod: Template
beforeAll(() => {
  dev = templateOf(synthesised().data)
  prod = templateOf(synthesised({ stage: 'prod' }).data)
})

describe('the data stack', () => {
  it('keeps its logical ids: a changed one would make CloudFormation replace the data', () => {
    const stateful = ['AWS::DynamoDB::Table', 'AWS::S3::Bucket'].flatMap((type) => resources(dev, type).map(([id]) => id))
    expect(stateful.sort()).toEqual(['accesslogsDE09D170', 'artifacts7424475B', 'records86D700F3'].sort())
  })

  it('has the table the records adapter expects', () => {
    dev.hasResourceProperties('AWS::DynamoDB::Table', {
      KeySchema: [
        { AttributeName: recordsTable.key.pk, KeyType: 'HASH' },
        { AttributeName: recordsTable.key.sk, KeyType: 'RANGE' },
      ],
      TimeToLiveSpecification: { AttributeName: recordsTable.ttl, Enabled: true },
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
      BillingMode: 'PAY_PER_REQUEST',
    })
    const [table] = resources(dev, 'AWS::DynamoDB::Table')
    const indexes = JSON.parse(JSON.stringify(table?.[1].GlobalSecondaryIndexes))
    expect(indexes.map((index: { IndexName: string }) => index.IndexName).sort()).toEqual(
      Object.keys(recordsTable.indexes).sort(),
    )
  })

  it('outlives the stack, and in prod refuses deletion', () => {
    for (const template of [dev, prod])
      for (const type of ['AWS::DynamoDB::Table', 'AWS::S3::Bucket'])
        expect(Object.values(template.findResources(type)).map((resource) => resource.DeletionPolicy)).not.toContain('Delete')
    prod.hasResourceProperties('AWS::DynamoDB::Table', { DeletionProtectionEnabled: true })
    dev.hasResourceProperties('AWS::DynamoDB::Table', { DeletionProtectionEnabled: false })
  })

  it('serves no bucket to the public and none without TLS', () => {
    for (const [, bucket] of resources(dev, 'AWS::S3::Bucket'))
      expect(bucket.PublicAccessBlockConfiguration).toEqual({
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      })
    expect(resources(dev, 'AWS::S3::BucketPolicy')).toHaveLength(2)
    for (const [, policy] of resources(dev, 'AWS::S3::BucketPolicy'))
      expect(JSON.stringify(policy)).toContain('aws:SecureTransport')
  })

  it('lets unfinished uploads go', () => {
    expect(JSON.stringify(resources(dev, 'AWS::S3::Bucket'))).toContain(
      '"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":2}',
    )
  })
})
