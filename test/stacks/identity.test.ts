import { readFileSync } from 'node:fs'
import { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { capabilities } from '../../lib/grants.ts'
import { IdentityStack } from '../../lib/stacks/identity.ts'
import { readStage } from '../../lib/stage.ts'
import { clientProperties, poolProperties } from '../support/cognito.ts'
import { resources } from '../support/synthesised.ts'

const stackFor = (context: Record<string, unknown>): IdentityStack => {
  const app = new App({ analyticsReporting: false, builtinCloudFormationValidation: false })
  return new IdentityStack(app, 'identity', { stage: readStage(context) })
}
const page = { prefix: 'acme-ai', callbackUrls: ['https://app.example.org/in'], logoutUrls: ['https://app.example.org/out'] }

let dev: Template
let prod: Template
beforeAll(() => {
  dev = Template.fromStack(stackFor({}))
  prod = Template.fromStack(stackFor({ stage: 'prod', hostedSignIn: page }))
})

const Pool = z.looseObject({
  Policies: z.object({ PasswordPolicy: z.record(z.string(), z.union([z.number(), z.boolean()])) }),
  Schema: z.array(z.looseObject({ Name: z.string(), Mutable: z.boolean() })),
})
const poolOf = (template: Template) => Pool.parse(resources(template, 'AWS::Cognito::UserPool')[0]?.[1])

describe('the identity stack', () => {
  it('keeps its pool: the logical id stays, and deleting the stack leaves it', () => {
    for (const template of [dev, prod]) {
      expect(resources(template, 'AWS::Cognito::UserPool').map(([id]) => id)).toEqual(['users9E3E6EF7'])
      template.hasResource('AWS::Cognito::UserPool', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' })
    }
    dev.hasResourceProperties('AWS::Cognito::UserPool', { DeletionProtection: 'INACTIVE' })
    prod.hasResourceProperties('AWS::Cognito::UserPool', { DeletionProtection: 'ACTIVE' })
  })

  it('lets nobody sign up, and takes every password of the platform’s rule', () => {
    dev.hasResourceProperties('AWS::Cognito::UserPool', {
      AdminCreateUserConfig: { AllowAdminCreateUserOnly: true },
      AccountRecoverySetting: { RecoveryMechanisms: [{ Name: 'admin_only', Priority: 1 }] },
      AliasAttributes: ['preferred_username'],
      UsernameConfiguration: { CaseSensitive: false },
      MfaConfiguration: 'OPTIONAL',
      EnabledMfas: ['SOFTWARE_TOKEN_MFA'],
    })
    expect(poolOf(dev).Policies.PasswordPolicy).toEqual({
      MinimumLength: 10,
      RequireLowercase: false,
      RequireUppercase: false,
      RequireNumbers: false,
      RequireSymbols: false,
    })
  })

  it('costs nothing beyond the cheapest plan', () => {
    for (const template of [dev, prod]) {
      template.hasResourceProperties('AWS::Cognito::UserPool', { UserPoolTier: 'LITE' })
      expect(poolOf(template)).not.toHaveProperty('UserPoolAddOns')
      expect(poolOf(template)).not.toHaveProperty('SmsConfiguration')
    }
  })

  it('fixes whom a user stands for, and lets no application change it', () => {
    expect(poolOf(dev).Schema.map(({ Name, Mutable }) => [Name, Mutable])).toEqual([
      ['user_id', false],
      ['organization_id', false],
      ['epoch', true],
    ])
    for (const template of [dev, prod])
      template.hasResourceProperties('AWS::Cognito::UserPoolClient', {
        GenerateSecret: false,
        PreventUserExistenceErrors: 'ENABLED',
        IdTokenValidity: 60,
        AccessTokenValidity: 60,
      })
  })

  it('opens the pool to other sign-ins than the platform’s only with a sign-in page', () => {
    dev.resourceCountIs('AWS::Cognito::UserPoolDomain', 0)
    expect(resources(dev, 'AWS::Cognito::UserPoolClient')[0]?.[1]).not.toHaveProperty('AllowedOAuthFlows')
    prod.hasResourceProperties('AWS::Cognito::UserPoolDomain', { Domain: 'acme-ai' })
    prod.hasResourceProperties('AWS::Cognito::UserPoolClient', {
      ExplicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_USER_SRP_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
      AllowedOAuthFlows: ['code'],
      AllowedOAuthFlowsUserPoolClient: true,
      CallbackURLs: page.callbackUrls,
      LogoutURLs: page.logoutUrls,
    })
  })

  it('says where users are', () => {
    expect(Object.keys(dev.findOutputs('*')).sort()).toEqual(['UserPoolClientId', 'UserPoolId'])
    expect(Object.keys(prod.findOutputs('*')).sort()).toEqual(['SignInUrl', 'UserPoolClientId', 'UserPoolId'])
  })

  it('is the pool that the adapter is tested against', () => {
    dev.hasResourceProperties('AWS::Cognito::UserPool', poolProperties)
    dev.hasResourceProperties('AWS::Cognito::UserPoolClient', clientProperties)
  })

  it('lets who uses it make exactly the calls of the adapter', () => {
    const adapter = readFileSync(new URL('../../layers/identity/cognito-users.ts', import.meta.url), 'utf8')
    const calls = [...adapter.matchAll(/new (\w+)Command\(/g)].map(([, name]) => `cognito-idp:${name}`)
    const [grant] = capabilities['identity:use'] ?? []
    expect([...(grant?.actions ?? [])].sort()).toEqual(calls.sort())
    expect(grant?.target).toBe('userPool')
  })
})
