import { Stack } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Construct } from 'constructs'
import type { DeployerGrant, DeployerVerb, GrantNames } from '../layers/deployers/grants.ts'
import { grants as lambdaGrants } from '../layers/deployers/lambda/grants.ts'
import { grants as sagemakerGrants } from '../layers/deployers/sagemaker/grants.ts'
import { runtimeCodeArn } from './constructs/runtime-files.ts'
import { capabilities } from './grants.ts'
import type { Parts } from './parts.ts'
import { targetArns } from './targets.ts'
import type { Unit } from './units.ts'

/** Every deployer that runs on AWS, with what it needs there. */
export const deployerGrants: readonly DeployerGrant[] = [...lambdaGrants, ...sagemakerGrants]

/** The statements a unit's needs stand for, and no other. Fails naming a need that nobody defined. */
export const statementsOf = (scope: Construct, unit: Unit, parts: Parts): PolicyStatement[] => [
  ...unit.needs.flatMap((need) => ofCapability(scope, unit, need, parts)),
  ...ofDeployers(scope, unit, parts),
  ...ofKey(scope, unit, parts),
]

const ofCapability = (scope: Construct, unit: Unit, need: string, parts: Parts): PolicyStatement[] => {
  const grants = capabilities[need]
  if (grants === undefined)
    throw new Error(
      `${unit.name} needs ${need}, which lib/grants.ts does not know; it knows ${Object.keys(capabilities).join(', ')}`,
    )
  return grants
    .map((grant) => ({ ...grant, resources: targetArns(grant.target, scope, parts) }))
    .filter((grant) => grant.actions.length > 0 && grant.resources.length > 0)
    .map(
      ({ actions, resources, conditions }) =>
        new PolicyStatement({ actions: [...actions], resources, ...(conditions && { conditions }) }),
    )
}

const verbsOf = (unit: Unit): string[] =>
  unit.needs.filter((need) => need.startsWith('deployers:')).map((need) => need.slice('deployers:'.length))

const applies = ({ verbs }: DeployerGrant, wanted: readonly string[]): boolean =>
  wanted.some((verb) => (verbs === undefined ? verb !== 'invoke' : verbs.includes(verb as DeployerVerb)))

const ofDeployers = (scope: Construct, unit: Unit, parts: Parts): PolicyStatement[] => {
  const { partition, region, account } = Stack.of(scope)
  const names: GrantNames = { partition, region, account, stage: parts.stage.name }
  const wanted = verbsOf(unit)
  const code = wanted.some((verb) => verb === 'deploy' || verb === 'reconcile')
    ? [new PolicyStatement({ actions: ['s3:GetObject'], resources: [runtimeCodeArn(scope, parts)] })]
    : []
  return [...code, ...grantsFor(wanted, names)]
}

const grantsFor = (wanted: readonly string[], names: GrantNames): PolicyStatement[] =>
  deployerGrants
    .filter((grant) => applies(grant, wanted))
    .map(
      ({ actions, resources, conditions }) =>
        new PolicyStatement({
          actions: [...actions],
          resources: resources(names),
          ...(conditions && { conditions: conditions(names) }),
        }),
    )

/** Whoever reads or writes what the key encrypts may use it, through the service that asks for it. */
const ofKey = (scope: Construct, unit: Unit, { data }: Parts): PolicyStatement[] => {
  if (data.key === undefined || !unit.needs.some((need) => /^(records|artifacts|deployers):/.test(need))) return []
  const { region } = Stack.of(scope)
  return [
    new PolicyStatement({
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      resources: [data.key.keyArn],
      conditions: { StringEquals: { 'kms:ViaService': [`s3.${region}.amazonaws.com`, `dynamodb.${region}.amazonaws.com`] } },
    }),
  ]
}
