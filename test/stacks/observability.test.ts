import { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Platform } from '../../lib/platform.ts'
import { stages } from '../support/stages.ts'
import { resources, synthesised } from '../support/synthesised.ts'

let dev: Platform
let prod: Platform
const stackOf = ({ stacks }: Platform, part: string): Template | undefined => {
  const stack = stacks.find(({ stackName }) => stackName.endsWith(`-${part}`))
  return stack && Template.fromStack(stack)
}
beforeAll(() => {
  dev = synthesised()
  prod = synthesised(stages.prod)
})

describe('observability', () => {
  it('has at most five alarms, each of which says what rang', () => {
    const alarms = resources(stackOf(dev, 'observability') ?? Template.fromJSON({}), 'AWS::CloudWatch::Alarm')
    expect(alarms.map(([, { AlarmName }]) => AlarmName).sort()).toEqual([
      'aideploy-dev-dead-letters',
      'aideploy-dev-old-prices',
      'aideploy-dev-server-errors',
    ])
    for (const [, alarm] of alarms) {
      expect(String(alarm.AlarmDescription).length).toBeGreaterThan(30)
      expect(alarm.TreatMissingData).toBe('notBreaching')
      expect(alarm.AlarmActions).toBeUndefined()
    }
  })

  it('watches every queue that keeps what failed', () => {
    const ends = dev.stacks.flatMap((stack) =>
      resources(Template.fromStack(stack), 'AWS::SQS::Queue').filter(([, { RedrivePolicy }]) => RedrivePolicy === undefined),
    )
    const alarm = resources(stackOf(dev, 'observability') ?? Template.fromJSON({}), 'AWS::CloudWatch::Alarm').find(
      ([, { AlarmName }]) => AlarmName === 'aideploy-dev-dead-letters',
    )?.[1]
    const Metrics = z.array(z.looseObject({ Id: z.string(), Expression: z.string().optional() }))
    const watched = Metrics.parse(alarm?.Metrics).filter(({ Expression }) => Expression === undefined)
    expect(ends.length).toBeGreaterThanOrEqual(3)
    expect(watched).toHaveLength(ends.length)
  })

  it('has no dimension per deployment, model or organisation', () => {
    const text = JSON.stringify([stackOf(dev, 'observability')?.toJSON(), stackOf(prod, 'observability')?.toJSON()])
    expect(text).not.toMatch(/deployment_id|organization_id|model_id/)
  })

  it('writes to somebody, warns of a budget and shows a dashboard only where the stage says so', () => {
    const plain = stackOf(dev, 'observability')
    const full = stackOf(prod, 'observability')
    for (const type of ['AWS::SNS::Topic', 'AWS::Budgets::Budget', 'AWS::CloudWatch::Dashboard']) {
      plain?.resourceCountIs(type, 0)
      full?.resourceCountIs(type, 1)
    }
    full?.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'ops@example.org' })
    full?.hasResourceProperties('AWS::Budgets::Budget', { Budget: { BudgetLimit: { Amount: 100, Unit: 'USD' } } })
    for (const [, { AlarmActions }] of resources(full ?? Template.fromJSON({}), 'AWS::CloudWatch::Alarm'))
      expect(AlarmActions).toHaveLength(1)
  })
})

describe('the optional stacks', () => {
  it('are there only where the stage wants them', () => {
    for (const part of ['network', 'web']) {
      expect(stackOf(dev, part), part).toBeUndefined()
      expect(stackOf(prod, part), part).toBeDefined()
    }
  })

  it('give the network no way to the internet', () => {
    const network = stackOf(prod, 'network')
    for (const type of ['AWS::EC2::NatGateway', 'AWS::EC2::InternetGateway']) network?.resourceCountIs(type, 0)
    expect(resources(network ?? Template.fromJSON({}), 'AWS::EC2::VPCEndpoint').length).toBeGreaterThanOrEqual(4)
  })

  it('run inside it exactly what needs no service without an endpoint', () => {
    const placed = prod.stacks.flatMap((stack) =>
      resources(Template.fromStack(stack), 'AWS::Lambda::Function').filter(([, { VpcConfig }]) => VpcConfig !== undefined),
    )
    const names = placed.map(([, { FunctionName }]) => String(FunctionName).replace('aideploy-prod-', ''))
    expect(names).toContain('step-inspect-original')
    expect(
      names.filter((name) =>
        /^(auth|models|deployments|inference|teardown|first-admin|schedule-refresh-prices|step-build-candidate)/.test(name),
      ),
    ).toEqual([])
  })

  it('serve the site over HTTPS from a closed bucket, with headers, and lead to the documentation', () => {
    const web = stackOf(prod, 'web')
    web?.hasResourceProperties('AWS::CloudFront::OriginAccessControl', {
      OriginAccessControlConfig: { SigningBehavior: 'always' },
    })
    const text = JSON.stringify(web?.toJSON())
    expect(text).toContain('"ViewerProtocolPolicy":"redirect-to-https"')
    expect(text).toContain("frame-ancestors 'none'")
    expect(text).toContain('https://api.example.org/docs')
  })
})

describe('operations', () => {
  it('hold a resource whose deletion ends all deployments, by a function that may', () => {
    const operations = stackOf(dev, 'operations')
    operations?.resourceCountIs('Custom::Deployments', 1)
    const roles = resources(operations ?? Template.fromJSON({}), 'AWS::IAM::Role')
    expect(JSON.stringify(roles)).toContain('lambda:DeleteFunction')
  })

  it('go after everything that can make a deployment, and before the data', () => {
    const order = dev.stacks.map(({ stackName }) => stackName.replace('AiDeploy-dev-', ''))
    for (const part of ['api', 'pipelines', 'schedules', 'events']) {
      expect(order.indexOf(part)).toBeGreaterThan(order.indexOf('operations'))
      const stack = dev.stacks.find(({ stackName }) => stackName.endsWith(`-${part}`))
      expect(
        stack?.dependencies.map(({ stackName }) => stackName),
        part,
      ).toContain('AiDeploy-dev-operations')
    }
    expect(order.indexOf('data')).toBeLessThan(order.indexOf('operations'))
  })

  it('publish a layer for either architecture under the name that functions look up', () => {
    const runtime = stackOf(dev, 'runtime')
    runtime?.resourceCountIs('AWS::Lambda::LayerVersion', 2)
    const published = resources(runtime ?? Template.fromJSON({}), 'AWS::SSM::Parameter').map(([, { Name }]) => Name)
    expect(published.sort()).toEqual(['/aideploy/dev/layer-arm64', '/aideploy/dev/layer-x64'])
    const looked = JSON.stringify(Template.fromStack(dev.pipelines).toJSON().Parameters)
    for (const name of published) expect(looked).toContain(`"Default":"${name}"`)
  })
})
