import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { awsRoutes, units } from '../../lib/units.ts'
import { stages } from '../support/stages.ts'
import { resources, synthesised, templateOf } from '../support/synthesised.ts'

let template: Template
let prod: Template
beforeAll(() => {
  template = templateOf(synthesised().api)
  prod = templateOf(synthesised(stages.prod).api)
})

const methods = (of: Template): [string, Record<string, unknown>][] =>
  resources(of, 'AWS::ApiGateway::Method').filter(([, method]) => method.HttpMethod !== 'OPTIONS')
const variables = (of: Template): [string, Record<string, unknown>][] =>
  resources(of, 'AWS::Lambda::Function').map(([id, { Environment }]) => [
    id,
    Object(Reflect.get(Object(Environment), 'Variables')),
  ])

describe('the api stack', () => {
  it('has one method for every route that AWS serves, by its name', () => {
    expect(
      methods(template)
        .map(([, method]) => method.OperationName)
        .sort(),
    ).toEqual(awsRoutes.map((row) => row.id).sort())
  })

  it('streams exactly the routes whose rows say so', () => {
    const streaming = methods(template)
      .filter(([, method]) => Reflect.get(Object(method.Integration), 'ResponseTransferMode') === 'STREAM')
      .map(([, method]) => method.OperationName)
    expect(streaming.sort()).toEqual(
      awsRoutes
        .filter((row) => row.transfer === 'stream')
        .map((row) => row.id)
        .sort(),
    )
  })

  it('answers what the gateway refuses with problem documents, and says the way out of its size limit', () => {
    template.hasResourceProperties('AWS::ApiGateway::GatewayResponse', { ResponseType: 'REQUEST_TOO_LARGE', StatusCode: '413' })
    const answers = resources(template, 'AWS::ApiGateway::GatewayResponse')
    expect(JSON.stringify(answers)).toContain('use_upload_parts')
    for (const [, { ResponseTemplates }] of answers) {
      const document = JSON.parse(String(Reflect.get(Object(ResponseTemplates), 'application/json')))
      expect(document).toMatchObject({ type: 'about:blank', code: expect.any(String), request_id: '$context.requestId' })
    }
  })

  it('gives functions that only read no action that writes', () => {
    const readers = units.filter(
      ({ kind, needs }) => (kind === 'http' || kind === 'stream') && needs.every((need) => /:(read|verify|load)$/.test(need)),
    )
    expect(readers.length).toBeGreaterThan(0)
    for (const { name } of readers) {
      const roles = resources(template, 'AWS::IAM::Role').filter(([id]) => id.startsWith(`${name.replaceAll('-', '')}role`))
      expect(roles, name).toHaveLength(1)
      expect(JSON.stringify(roles), name).not.toMatch(
        /PutItem|UpdateItem|DeleteItem|s3:Put|s3:Delete|Scan|StartExecution|lambda:|iam:/,
      )
    }
  })

  it('tells every function where callers reach the platform, without waiting for a method', () => {
    expect(JSON.stringify(variables(template)[0]?.[1].AIDEPLOY_PUBLIC_URL)).toMatch(
      /https:\/\/.*"Ref":"api[0-9A-F]+".*execute-api.*\/dev/,
    )
    for (const [id, told] of variables(prod)) expect(told.AIDEPLOY_PUBLIC_URL, id).toBe('https://api.example.org')
    const told = variables(prod).find(([id]) => id.startsWith('auth'))?.[1]
    expect(JSON.parse(String(told?.AIDEPLOY_OIDC_ISSUERS))).toEqual([
      { issuer: 'https://login.example.org', audience: 'ai-deploy', username_claim: 'email' },
    ])
  })

  it('tells a function only what its rows need', () => {
    const told = Object.fromEntries(variables(template))
    const of = (unit: string): string[] => Object.keys(Object.entries(told).find(([id]) => id.startsWith(unit))?.[1] ?? {})
    expect(of('platform')).not.toContain('AIDEPLOY_RUNTIME_KEY')
    expect(of('platform')).not.toContain('AIDEPLOY_EVENT_BUS')
    expect(of('analytics')).toContain('AIDEPLOY_USER_POOL_ID')
  })

  it('logs every request, throttles, and lets the account log at all', () => {
    const [stage] = resources(template, 'AWS::ApiGateway::Stage')
    expect(stage?.[1].AccessLogSetting).toBeDefined()
    expect(stage?.[1].MethodSettings).toMatchObject([
      { ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200, DataTraceEnabled: false },
    ])
    expect(resources(template, 'AWS::ApiGateway::Account')).toHaveLength(1)
  })

  it('has domain, firewall, preflight and caller check where the stage wants them, and not otherwise', () => {
    prod.hasResourceProperties('AWS::ApiGateway::DomainName', { DomainName: 'api.example.org', SecurityPolicy: 'TLS_1_2' })
    prod.resourceCountIs('AWS::Route53::RecordSet', 1)
    prod.resourceCountIs('AWS::WAFv2::WebACLAssociation', 1)
    expect(resources(prod, 'AWS::ApiGateway::Method').length).toBeGreaterThan(methods(prod).length)
    const preflights = resources(prod, 'AWS::ApiGateway::Method').filter(([, { HttpMethod }]) => HttpMethod === 'OPTIONS')
    for (const wanted of [
      'authorization',
      'idempotency-key',
      'inference-header-content-length',
      'x-api-key',
      'x-scale-up-timeout',
    ])
      expect(JSON.stringify(preflights[0])).toContain(wanted)
    for (const type of ['AWS::ApiGateway::DomainName', 'AWS::WAFv2::WebACL', 'AWS::ApiGateway::Authorizer'])
      template.resourceCountIs(type, 0)
  })

  it('leaves anonymous rows and endpoints to the functions when callers are checked at the gateway', () => {
    prod.hasResourceProperties('AWS::ApiGateway::Authorizer', { Type: 'REQUEST', AuthorizerResultTtlInSeconds: 60 })
    const open = awsRoutes.filter((row) => row.role === 'anonymous' || row.role === 'endpoint').map((row) => row.id)
    for (const [, { OperationName, AuthorizationType }] of methods(prod))
      expect([OperationName, AuthorizationType]).toEqual([
        OperationName,
        open.some((id) => id === OperationName) ? 'NONE' : 'CUSTOM',
      ])
  })
})
