import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parameters } from '../../lib/parameters.ts'
import { readStage } from '../../lib/stage.ts'

const certified = (region: string): string =>
  JSON.stringify({ name: 'api.example.org', certificateArn: `arn:aws:acm:${region}:123456789012:certificate/a-1` })

describe('a stage', () => {
  it('is dev with what costs money off, when nothing is said', () => {
    expect(readStage({})).toMatchObject({
      name: 'dev',
      protectData: false,
      logRetentionDays: 14,
      kmsKey: false,
      vpc: false,
      waf: false,
      xray: false,
      web: false,
      dashboard: false,
      corsOrigins: [],
      throttle: { rateLimit: 100, burstLimit: 200 },
    })
  })

  it('takes text from the command line and values from cdk.json alike', () => {
    const domain = { name: 'api.example.org', certificateArn: 'arn:aws:acm:eu-west-1:123456789012:certificate/a-1' }
    const typed = readStage({
      stage: 'prod',
      waf: 'true',
      logRetentionDays: '30',
      customDomain: JSON.stringify(domain),
      corsOrigins: 'https://a.example, https://b.example',
    })
    const written = readStage({
      stage: 'prod',
      waf: true,
      logRetentionDays: 30,
      customDomain: domain,
      corsOrigins: ['https://a.example', 'https://b.example'],
    })
    expect(typed).toEqual(written)
    expect(typed).toMatchObject({ protectData: true, waf: true, logRetentionDays: 30, customDomain: domain })
  })

  it('leaves what CDK and its tools put into the context alone', () => {
    expect(
      readStage({
        '@aws-cdk/core:checkSecretUsage': true,
        'aws:cdk:bundling-stacks': ['**'],
        'availability-zones:account=1:region=x': [],
      }).name,
    ).toBe('dev')
  })

  it.each([
    [{ stage: 'Prod' }, /stage = "Prod": wanted 2 to 12 lower-case/],
    [{ stage: 'awsdev' }, /stage = "awsdev": is reserved/],
    [{ logRetentionDays: '31' }, /logRetentionDays = "31": wanted one of 1, 3, 5/],
    [{ waf: 'yes' }, /waf = "yes": wanted true or false/],
    [{ corsOrigins: 'app' }, /corsOrigins\.0 = "app": wanted an address, e\.g\. https/],
    [{ alarmEmail: 'ops' }, /alarmEmail = "ops": wanted an e-mail address/],
    [{ webDomain: certified('eu-west-1') }, /webDomain\.certificateArn = .* certificate of eu-west-1; wanted one of us-east-1/],
    [{ region: 'eu-west-1', customDomain: certified('us-east-1') }, /certificate of us-east-1; wanted one of eu-west-1/],
    [{ customDomain: '{"name":"api.example.org"}' }, /customDomain\.certificateArn/],
    [{ customDomain: '{broken' }, /customDomain = "\{broken"/],
    [{ oidcIssuers: '[{"issuer":"http://login.example.org","audience":"a"}]' }, /oidcIssuers\.0\.issuer/],
    [{ hostedSignIn: '{"prefix":"my-cognito","callbackUrls":["https://a.example"]}' }, /may not contain aws, amazon or cognito/],
    [{ mailFrom: 'nobody' }, /mailFrom = "nobody": wanted an address/],
    [{ requestPerSecond: '5' }, /requestPerSecond is no parameter; wanted one of stage, account/],
    [{ replicaRegion: 'eu-west-1' }, /replicaRegion is set but region is not/],
    [{ region: 'eu-west-1', replicaRegion: 'eu-west-1' }, /wanted another region/],
    [{ replicaRegion: 'eu-west-1', region: 'us-east-1', kmsKey: 'true' }, /kmsKey and replicaRegion are both set/],
    [{ monthlyBudgetUsd: '5' }, /alarmEmail is not; wanted an address/],
    [{ deleteAfterDays: '60' }, /deleteAfterDays = 60: wanted more than archiveAfterDays, 90/],
  ])('refuses %j, saying what it got and what was wanted', (context, message) => {
    expect(() => readStage(context)).toThrow(message)
  })

  it('says all that is wrong at once', () => {
    expect(() => readStage({ stage: '!', waf: 'maybe', typo: '1' })).toThrow(/stage = [\s\S]*waf = [\s\S]*typo is no parameter/)
  })

  it('has every parameter in the deploy guide, with its summary and cost', () => {
    const guide = readFileSync(join(import.meta.dirname, '../../docs/deploy.md'), 'utf8')
    for (const [name, { summary, costs }] of Object.entries(parameters))
      expect(guide).toContain(`| \`${name}\` | ${summary} | ${costs} |`)
  })
})
