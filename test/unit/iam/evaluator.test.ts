import { describe, expect, it } from 'vitest'
import { decide, type IamRequest, type Policies, PolicyDocument } from '../../support/iam-evaluator.ts'

type Written = Record<string, unknown>
const document = (...statements: Written[]): PolicyDocument =>
  PolicyDocument.parse({ Version: '2012-10-17', Statement: statements })
const allow = (Action: unknown, Resource: unknown, Condition?: unknown): Written => ({
  Effect: 'Allow',
  Action,
  Resource,
  ...(Condition !== undefined && { Condition }),
})
const deny = (Action: unknown, Resource: unknown, Condition?: unknown): Written => ({
  ...allow(Action, Resource, Condition),
  Effect: 'Deny',
})
const ask = (action: string, resource: string, context?: Record<string, string[]>): IamRequest => ({
  action,
  resource,
  ...(context && { context }),
})
const verdict = (request: IamRequest, ...statements: Written[]): boolean =>
  decide(request, { identity: [document(...statements)] }).allowed

const table = 'arn:aws:dynamodb:us-east-1:1:table/records'
const get = ask('dynamodb:GetItem', table)

describe('what a statement covers', () => {
  it.each([
    ['the exact action and resource', 'dynamodb:GetItem', table, true],
    ['another action', 'dynamodb:PutItem', table, false],
    ['another resource', 'dynamodb:GetItem', `${table}2`, false],
    ['an action in another case', 'DynamoDB:getitem', table, true],
    ['a wildcard in the action', 'dynamodb:Get*', table, true],
    ['a ? for one character', 'dynamodb:GetIte?', table, true],
    ['any resource', 'dynamodb:GetItem', '*', true],
    ['a wildcard at the end', 'dynamodb:GetItem', 'arn:aws:dynamodb:us-east-1:1:table/*', true],
    ['a wildcard that would have to span parts', 'dynamodb:GetItem', 'arn:aws:dynamodb:*/records', false],
    ['a wildcard for region and account', 'dynamodb:GetItem', 'arn:aws:dynamodb:*:*:table/records', true],
    ['a table, asked for its index', 'dynamodb:GetItem', `${table}/index/lookup`, false],
    ['a dot that must be a dot', 'dynamodb:GetItem', table.replace('records', 'r.cords'), false],
  ])('%s', (_, action, resource, wanted) => {
    expect(verdict(get, allow(action, resource))).toBe(wanted)
  })

  it('lets a wildcard of the last part span colons', () => {
    const invoke = ask('lambda:InvokeFunction', 'arn:aws:lambda:us-east-1:1:function:m-1:live')
    expect(verdict(invoke, allow('lambda:InvokeFunction', 'arn:aws:lambda:us-east-1:1:function:m-*'))).toBe(true)
    expect(verdict(invoke, allow('lambda:InvokeFunction', 'arn:aws:lambda:us-east-1:1:function:m-1'))).toBe(false)
  })

  it('takes lists and single values', () => {
    expect(verdict(get, allow(['s3:GetObject', 'dynamodb:GetItem'], ['x', table]))).toBe(true)
  })
})

describe('who wins', () => {
  const refusal = (policies: Policies) => {
    const decision = decide(get, policies)
    return decision.allowed ? undefined : decision.reason
  }
  const yes = document(allow('dynamodb:*', '*'))
  const no = document(deny('dynamodb:GetItem', table))

  it('is nobody where nothing allows', () => {
    expect(refusal({ identity: [] })).toBe('not allowed')
  })
  it('is the denial, wherever it stands', () => {
    expect(refusal({ identity: [yes, no] })).toBe('denied')
    expect(refusal({ identity: [yes], boundary: document(allow('*', '*'), deny('dynamodb:GetItem', '*')) })).toBe('denied')
    const bucket = document({ ...deny('dynamodb:*', '*'), Principal: { AWS: '*' } })
    expect(refusal({ identity: [yes], resource: [bucket] })).toBe('denied')
  })
  it('is the boundary, which allows nothing by itself', () => {
    expect(refusal({ identity: [yes], boundary: document(allow('s3:*', '*')) })).toBe('beyond the boundary')
    expect(refusal({ identity: [], boundary: yes })).toBe('not allowed')
    expect(refusal({ identity: [yes], boundary: yes })).toBeUndefined()
  })
  it('is never a resource policy that allows', () => {
    expect(refusal({ identity: [], resource: [document({ ...allow('*', '*'), Principal: '*' })] })).toBe('not allowed')
  })
})

describe('conditions', () => {
  const under = (condition: Record<string, Record<string, unknown>>, context: Record<string, string[]>): boolean =>
    verdict(ask('iam:PassRole', 'r', context), allow('iam:PassRole', 'r', condition))
  const keys = 'dynamodb:LeadingKeys'

  it.each([
    ['StringEquals', { StringEquals: { k: 'a' } }, { k: ['a'] }, true],
    ['StringEquals of another', { StringEquals: { k: 'a' } }, { k: ['b'] }, false],
    ['StringEquals of one of several', { StringEquals: { k: ['a', 'b'] } }, { k: ['b'] }, true],
    ['StringEquals without the key', { StringEquals: { k: 'a' } }, {}, false],
    ['the key in another case', { StringEquals: { 'IAM:passedtoservice': 'a' } }, { 'iam:PassedToService': ['a'] }, true],
    ['StringEqualsIfExists without the key', { StringEqualsIfExists: { k: 'a' } }, {}, true],
    ['StringNotEquals without the key', { StringNotEquals: { k: 'a' } }, {}, true],
    ['StringNotEquals of one of several', { StringNotEquals: { k: ['a', 'b'] } }, { k: ['b'] }, false],
    ['StringLike', { StringLike: { k: 'a/*' } }, { k: ['a/b'] }, true],
    ['ArnLike', { ArnLike: { k: 'arn:aws:s3:::b/*' } }, { k: ['arn:aws:s3:::b/c'] }, true],
    ['Bool', { Bool: { 'aws:SecureTransport': false } }, { 'aws:SecureTransport': ['true'] }, false],
    ['Null of a key that is not there', { Null: { k: 'true' } }, {}, true],
    ['Null of a key that is there', { Null: { k: 'true' } }, { k: ['a'] }, false],
    ['ForAllValues where all are wanted', { 'ForAllValues:StringEquals': { [keys]: ['a', 'b'] } }, { [keys]: ['b', 'a'] }, true],
    ['ForAllValues where one is not', { 'ForAllValues:StringEquals': { [keys]: ['a'] } }, { [keys]: ['a', 'c'] }, false],
    ['ForAllValues without the key', { 'ForAllValues:StringEquals': { [keys]: ['a'] } }, {}, true],
    ['ForAnyValue where one is', { 'ForAnyValue:StringEquals': { k: ['a'] } }, { k: ['c', 'a'] }, true],
    ['ForAnyValue without the key', { 'ForAnyValue:StringEquals': { k: ['a'] } }, {}, false],
    ['all of several', { StringEquals: { k: 'a' }, StringLike: { l: 'x*' } }, { k: ['a'], l: ['y'] }, false],
  ])('%s', (_, condition, context, wanted) => {
    expect(under(condition, context as Record<string, string[]>)).toBe(wanted)
  })

  it('that it does not know stop the test', () => {
    expect(() => under({ IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:SourceIp': ['10.0.0.1'] })).toThrow('IpAddress')
    const variable = '$' + '{aws:username}'
    expect(() => under({ StringLike: { k: `home/${variable}` } }, { k: ['home/a'] })).toThrow('policy variables')
    expect(() => under({ StringEquals: { k: 'a' } }, { k: ['a', 'b'] })).toThrow('one value')
  })
})

describe('what it does not know', () => {
  it.each(['NotAction', 'NotResource', 'NotPrincipal'])('%s stops the test', (member) => {
    expect(() => document({ ...allow('a', 'b'), [member]: 'c' })).toThrow(member)
  })
  it('a denial of some principals stops the test', () => {
    const some = document({ ...deny('*', '*'), Principal: { AWS: 'arn:aws:iam::1:role/r' } })
    expect(() => decide(get, { identity: [], resource: [some] })).toThrow('everybody')
  })
})
