import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Stack } from 'aws-cdk-lib'
import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { definitions } from '../support/machines.ts'
import { stages } from '../support/stages.ts'
import { written } from '../support/statements.ts'
import { synthesised, templateOf } from '../support/synthesised.ts'

/** What must hold of every template, in every stage that the stacks know. */

const Resource = z.object({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).default({}),
  DeletionPolicy: z.string().optional(),
  UpdateReplacePolicy: z.string().optional(),
})
type Found = z.output<typeof Resource> & { stack: string; id: string }

const validate: (definition: unknown) => { isValid: boolean; errorsText(separator: string): string } = createRequire(
  import.meta.url,
)('asl-validator')

const read = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((at, name) => Reflect.get(Object(at), name), value)

describe.each(Object.keys(stages))('the templates of stage %s', (stageName) => {
  let templates: Map<string, Template>
  let all: Found[]
  const of = (...types: string[]): Found[] => all.filter(({ Type }) => types.includes(Type))
  const named = (found: Found[]): string[] => found.map(({ stack, id }) => `${stack} ${id}`)

  beforeAll(() => {
    templates = new Map(synthesised(stages[stageName]).stacks.map((stack: Stack) => [stack.stackName, templateOf(stack)]))
    all = [...templates].flatMap(([stack, template]) =>
      Object.entries(z.record(z.string(), Resource).parse(template.toJSON().Resources)).map(([id, resource]) => ({
        ...resource,
        stack,
        id,
      })),
    )
  })

  it('are below CloudFormation’s limits', () => {
    for (const [stack, template] of templates) {
      const json = template.toJSON()
      expect(JSON.stringify(json).length, stack).toBeLessThan(1_000_000)
      expect(Object.keys(json.Resources).length, stack).toBeLessThan(500)
      expect(Object.keys(json.Outputs ?? {}).length, stack).toBeLessThan(200)
      expect(Object.keys(json.Parameters ?? {}).length, stack).toBeLessThan(200)
    }
  })

  it('give every function a time limit, memory, arm64, Node 24 and a log group that ends', () => {
    const functions = of('AWS::Lambda::Function')
    expect(functions.length).toBeGreaterThan(20)
    for (const { id, Properties } of functions) {
      expect(Properties.Timeout, id).toBeLessThanOrEqual(900)
      expect(Properties.Timeout, id).toBeGreaterThan(0)
      expect(Properties.MemorySize, id).toBeGreaterThanOrEqual(128)
      expect(Properties.MemorySize, id).toBeLessThanOrEqual(10_240)
      expect(Properties.Architectures, id).toEqual(['arm64'])
      expect(Properties.Runtime, id).toBe('nodejs24.x')
      expect(String(Properties.FunctionName).length, id).toBeLessThanOrEqual(64)
      expect(read(Properties.LoggingConfig, 'LogGroup', 'Ref'), id).toBeDefined()
      expect(JSON.stringify(read(Properties.Environment, 'Variables')).length, id).toBeLessThan(4096)
    }
    for (const { id, Properties } of of('AWS::Logs::LogGroup')) expect(Properties.RetentionInDays, id).toBeGreaterThan(0)
  })

  it('keep what fails when nobody waits: every asynchronous target has somewhere to go', () => {
    const targets = of('AWS::Scheduler::Schedule').map(
      (found) => [found, read(found.Properties, 'Target', 'DeadLetterConfig', 'Arn')] as const,
    )
    const mappings = of('AWS::Lambda::EventSourceMapping').filter(
      ({ Properties }) => !/queue|deliver/i.test(written(Properties.EventSourceArn)),
    )
    const streams = mappings.map(
      (found) => [found, read(found.Properties, 'DestinationConfig', 'OnFailure', 'Destination')] as const,
    )
    const rules = of('AWS::Events::Rule').flatMap((found) =>
      z
        .array(z.unknown())
        .parse(found.Properties.Targets ?? [])
        .map((target) => [found, read(target, 'DeadLetterConfig', 'Arn')] as const),
    )
    const asynchronous = of('AWS::Lambda::EventInvokeConfig').map(
      (found) => [found, read(found.Properties, 'DestinationConfig', 'OnFailure', 'Destination')] as const,
    )
    expect(targets.length).toBeGreaterThan(4)
    expect(asynchronous.length).toBe(targets.length)
    for (const [{ id, stack }, letters] of [...targets, ...streams, ...rules, ...asynchronous])
      expect(letters, `${stack} ${id}`).toBeDefined()
  })

  it('end every queue in a dead-letter queue, and let none be read in the clear', () => {
    const queues = of('AWS::SQS::Queue')
    const letters = new Set(
      queues.flatMap(({ stack, Properties }) => {
        const arn = read(Properties.RedrivePolicy, 'deadLetterTargetArn')
        return arn === undefined ? [] : [`${stack} ${read(arn, 'Fn::GetAtt', 0)}`]
      }),
    )
    const withoutEnd = queues.filter(({ Properties }) => Properties.RedrivePolicy === undefined)
    expect(named(withoutEnd).filter((queue) => !letters.has(queue) && !/failed|dead|changes/i.test(queue))).toEqual([])
    for (const queue of queues)
      expect(queue.Properties.SqsManagedSseEnabled === true || queue.Properties.KmsMasterKeyId !== undefined, queue.id).toBe(true)
    const closed = JSON.stringify(of('AWS::SQS::QueuePolicy').map(({ Properties }) => Properties))
    for (const { id } of queues) expect(closed, id).toContain(id)
    expect(closed).toContain('aws:SecureTransport')
  })

  it('can restore every table, and lose nothing that is stateful with a stack', () => {
    const tables = of('AWS::DynamoDB::Table', 'AWS::DynamoDB::GlobalTable')
    expect(tables).toHaveLength(1)
    expect(JSON.stringify(tables)).toContain('"PointInTimeRecoveryEnabled":true')
    expect(JSON.stringify(tables)).not.toContain('"PointInTimeRecoveryEnabled":false')
    const stateful = of(
      'AWS::DynamoDB::Table',
      'AWS::DynamoDB::GlobalTable',
      'AWS::S3::Bucket',
      'AWS::KMS::Key',
      'AWS::Cognito::UserPool',
    )
    for (const { id, DeletionPolicy, UpdateReplacePolicy } of stateful)
      expect([id, DeletionPolicy, UpdateReplacePolicy]).toEqual([id, 'Retain', 'Retain'])
  })

  it('keep the logical ids of what is stateful: another would be a new, empty one', () => {
    const pinned: unknown = JSON.parse(readFileSync(join(import.meta.dirname, 'stateful-ids.json'), 'utf8'))[stageName]
    const stateful = of(
      'AWS::DynamoDB::Table',
      'AWS::DynamoDB::GlobalTable',
      'AWS::S3::Bucket',
      'AWS::KMS::Key',
      'AWS::Cognito::UserPool',
      'AWS::Cognito::UserPoolClient',
    )
    expect(named(stateful).sort()).toEqual(pinned)
  })

  it('hold no bucket open and none without TLS', () => {
    const policies = JSON.stringify(of('AWS::S3::BucketPolicy').map(({ Properties }) => Properties))
    for (const { id, Properties } of of('AWS::S3::Bucket')) {
      expect(Properties.PublicAccessBlockConfiguration, id).toEqual({
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      })
      expect(Properties.BucketEncryption, id).toBeDefined()
      expect(JSON.stringify(Properties.LifecycleConfiguration), id).toContain('AbortIncompleteMultipartUpload')
      expect(policies, id).toContain(`"Ref":"${id}"`)
    }
    expect(policies).toContain('aws:SecureTransport')
  })

  it('hold no secret', () => {
    const text = JSON.stringify(all)
    expect(text).not.toMatch(/AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY/)
    const variables = of('AWS::Lambda::Function').flatMap(({ Properties }) =>
      Object.keys(Object(read(Properties.Environment, 'Variables'))),
    )
    expect(variables.filter((name) => /password|secret(?!s_prefix)|token|api_?key$/i.test(name))).toEqual([])
  })

  it('fit every role’s inline policies into what IAM takes', () => {
    for (const { id, stack, Properties } of of('AWS::IAM::Role')) {
      // Partition, region and account as long as the longest of them; other references are longer here than what they stand for.
      const size = JSON.stringify(Properties.Policies ?? [])
        .replace(/\s/g, '')
        .replace(/\{"Ref":"AWS::(Partition|Region|AccountId)"\}/g, '"ap-southeast-2"').length
      expect(size, `${stack} ${id}`).toBeLessThan(10_240)
    }
    for (const { id, Properties } of of('AWS::IAM::ManagedPolicy'))
      expect(JSON.stringify(Properties.PolicyDocument).length, id).toBeLessThan(6144)
  })

  it('hold state machines that an independent validator accepts', () => {
    const machines = [...templates.values()].flatMap((template) => [...definitions(template)])
    expect(machines.length).toBeGreaterThanOrEqual(2)
    for (const [name, definition] of machines) {
      const { isValid, errorsText } = validate(definition)
      expect(isValid, `${name}: ${isValid ? '' : errorsText('\n')}`).toBe(true)
    }
  })

  it('are in an order in which each finds what it imports', () => {
    const exported = new Map<string, string>()
    for (const [stack, template] of templates)
      for (const output of Object.values<{ Export?: { Name: string } }>(template.toJSON().Outputs ?? {}))
        if (output.Export) exported.set(output.Export.Name, stack)
    const order = [...templates.keys()]
    for (const [stack, template] of templates)
      for (const [, name] of JSON.stringify(template.toJSON()).matchAll(/"Fn::ImportValue":"([^"]+)"/g)) {
        const from = exported.get(String(name)) ?? 'nobody'
        expect(order, `${stack} imports ${name}`).toContain(from)
        expect(order.indexOf(from), `${stack} imports ${name} of ${from}`).toBeLessThan(order.indexOf(stack))
      }
  })
})
