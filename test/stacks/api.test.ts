import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { awsRoutes } from '../../lib/units.ts'
import { resources, synthesised, templateOf } from '../support/synthesised.ts'

let template: Template
beforeAll(() => {
  template = templateOf(synthesised().api)
})

describe('the api stack', () => {
  it('has one method for every route that AWS serves, by its name', () => {
    const names = resources(template, 'AWS::ApiGateway::Method').map(([, method]) => method.OperationName)
    expect(names.sort()).toEqual(awsRoutes.map((row) => row.id).sort())
  })

  it('streams exactly the routes whose rows say so', () => {
    const streaming = resources(template, 'AWS::ApiGateway::Method')
      .filter(([, method]) => Reflect.get(Object(method.Integration), 'ResponseTransferMode') === 'STREAM')
      .map(([, method]) => method.OperationName)
    expect(streaming.sort()).toEqual(
      awsRoutes
        .filter((row) => row.transfer === 'stream')
        .map((row) => row.id)
        .sort(),
    )
  })

  it('stays well below the limit of 500 resources', () => {
    expect(Object.keys(template.toJSON().Resources).length).toBeLessThan(250)
  })

  it('answers a body over the gateway limit with the way out', () => {
    template.hasResourceProperties('AWS::ApiGateway::GatewayResponse', { ResponseType: 'REQUEST_TOO_LARGE', StatusCode: '413' })
    expect(JSON.stringify(template.toJSON())).toContain('use_upload_parts')
  })

  it('gives functions that only read no action that writes', () => {
    const policies = resources(template, 'AWS::IAM::Role').filter(([id]) => id.startsWith('analyticsrole'))
    expect(policies).toHaveLength(1)
    expect(JSON.stringify(policies)).toContain('dynamodb:GetItem')
    expect(JSON.stringify(policies)).not.toMatch(/PutItem|DeleteItem|s3:Put|Scan/)
  })

  it('grants no action by wildcard and nothing on every resource', () => {
    const statements = resources(template, 'AWS::IAM::Role').flatMap(([, role]) => JSON.stringify(role.Policies ?? []))
    expect(statements.join()).not.toMatch(/"Action":"\*"|:\*"\]?,"Effect"|"Resource":"\*"/)
  })
})
