import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { subscribers } from '../../layers/core/contract/subscribers.ts'
import { resources, synthesised, templateOf } from '../support/synthesised.ts'

let template: Template
beforeAll(() => {
  template = templateOf(synthesised().events)
})

const ids = Object.keys(subscribers)
const logicalId = (reference: unknown): string => /"((?!Ref")[a-z0-9]+)"/i.exec(JSON.stringify(reference))?.[1] ?? ''
const Queue = z.looseObject({
  QueueName: z.string().optional(),
  SqsManagedSseEnabled: z.boolean(),
  RedrivePolicy: z.object({ maxReceiveCount: z.number(), deadLetterTargetArn: z.unknown() }).optional(),
  VisibilityTimeout: z.number().optional(),
  MessageRetentionPeriod: z.number(),
})
const queues = () => resources(template, 'AWS::SQS::Queue').map(([id, queue]) => [id, Queue.parse(queue)] as const)
const sources = () => resources(template, 'AWS::Lambda::EventSourceMapping').map(([, mapping]) => mapping)

describe('the events stack', () => {
  it('has a rule, a queue, dead letters and a function for every subscriber', () => {
    const names = queues().flatMap(([, { QueueName }]) => QueueName ?? [])
    expect(names.toSorted()).toEqual(
      ids.flatMap((id) => [`aideploy-dev-deliver-${id}`, `aideploy-dev-deliver-${id}-dead`]).toSorted(),
    )
    expect(resources(template, 'AWS::Events::Rule')).toHaveLength(ids.length)
    const functions = resources(template, 'AWS::Lambda::Function').map(([, { FunctionName }]) => FunctionName)
    expect(functions.toSorted()).toEqual(
      ['aideploy-dev-publish-changes', ...ids.map((id) => `aideploy-dev-deliver-${id}`)].toSorted(),
    )
  })

  it('gives every queue dead letters or makes it one, encrypted and for TLS only', () => {
    const all = queues()
    const dead = new Set(
      all.flatMap(([, { RedrivePolicy }]) => (RedrivePolicy ? logicalId(RedrivePolicy.deadLetterTargetArn) : [])),
    )
    for (const [id, { RedrivePolicy, SqsManagedSseEnabled, MessageRetentionPeriod }] of all) {
      expect(SqsManagedSseEnabled).toBe(true)
      expect(MessageRetentionPeriod).toBe(14 * 86_400)
      if (RedrivePolicy) expect(RedrivePolicy.maxReceiveCount).toBe(5)
      else expect(dead.has(id) || /deadchanges/.test(id)).toBe(true)
    }
    const guarded = resources(template, 'AWS::SQS::QueuePolicy').flatMap(([, policy]) =>
      JSON.stringify(policy).includes('"aws:SecureTransport":"false"') ? [logicalId(policy.Queues)] : [],
    )
    expect([...new Set(guarded)].toSorted()).toEqual(all.map(([id]) => id).toSorted())
  })

  it('hides a message for six times as long as its function may take', () => {
    const timeouts = new Map(
      resources(template, 'AWS::Lambda::Function').map(([, { FunctionName, Timeout }]) => [FunctionName, Timeout]),
    )
    for (const [, { QueueName, VisibilityTimeout }] of queues())
      if (VisibilityTimeout !== undefined) expect(VisibilityTimeout).toBe(6 * Number(timeouts.get(QueueName)))
  })

  it('reads the table’s stream from now on, halves a failing batch and keeps what stays lost', () => {
    const [stream] = sources().filter(({ StartingPosition }) => StartingPosition !== undefined)
    expect(stream).toMatchObject({
      StartingPosition: 'LATEST',
      BisectBatchOnFunctionError: true,
      MaximumRetryAttempts: 10,
      DestinationConfig: { OnFailure: { Destination: expect.anything() } },
    })
    const patterns = z.object({ Filters: z.array(z.object({ Pattern: z.string() })) }).parse(stream?.FilterCriteria)
    expect(patterns.Filters.map(({ Pattern }) => JSON.parse(Pattern))).toEqual([
      { dynamodb: { Keys: { sk: { S: [{ prefix: 'model#' }, { prefix: 'optimization#' }, { prefix: 'deployment#' }] } } } },
    ])
  })

  it('lets a queue learn which messages of a batch failed', () => {
    const ofQueues = sources().filter(({ StartingPosition }) => StartingPosition === undefined)
    expect(ofQueues).toHaveLength(ids.length)
    for (const mapping of ofQueues) expect(mapping.FunctionResponseTypes).toEqual(['ReportBatchItemFailures'])
  })

  it('tells a subscriber only what its row wants, and keeps what the queue does not take', () => {
    for (const [, rule] of resources(template, 'AWS::Events::Rule')) {
      const row = Object.values(subscribers).find(({ id }) => String(JSON.stringify(rule.Name)).includes(id))
      const types = row?.types === 'all' ? {} : { 'detail-type': row?.types }
      expect(rule.EventPattern).toEqual({ source: ['aideploy'], ...types })
      expect(JSON.stringify(rule.Targets)).toContain('DeadLetterConfig')
    }
  })

  it('lets only the rule send to a queue', () => {
    const senders = resources(template, 'AWS::SQS::QueuePolicy').flatMap(([, { PolicyDocument }]) =>
      z
        .object({ Statement: z.array(z.looseObject({ Action: z.unknown(), Effect: z.string(), Condition: z.unknown() })) })
        .parse(PolicyDocument)
        .Statement.filter(({ Effect }) => Effect === 'Allow'),
    )
    expect(senders.length).toBe(2 * ids.length)
    for (const { Condition } of senders) expect(JSON.stringify(Condition)).toMatch(/aws:SourceArn/)
  })
})
