import type { Stage } from './stage.ts'

type Finding = { id: string; reason: string }

/** Findings of cdk-nag that are meant to be, each with why; anything else fails synthesis. */
export const acknowledgements = (stage: Stage): Record<'data' | 'api' | 'pipelines' | 'schedules', readonly Finding[]> => {
  const objects = {
    id: `AwsSolutions-IAM5[Resource::AiDeploy-${stage.name}-data:ExportsOutputFnGetAttartifacts7424475BArnDFD77F6C/*]`,
    reason: 'Objects of the artifact bucket have names that are not known at deploy time; the bucket holds nothing else',
  }
  return {
    data: [{ id: 'AwsSolutions-S1', reason: 'The access-log bucket does not log access to itself' }],
    api: [
      objects,
      {
        id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:aideploy-${stage.name}-optimize-model:*]`,
        reason: 'Executions get their names when they start',
      },
      {
        id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:aideploy-${stage.name}-provision-deployment:*]`,
        reason: 'Executions get their names when they start',
      },
      {
        id: 'AwsSolutions-APIG2',
        reason:
          'Every handler parses params, query and body with its row’s zod schemas and answers a problem document; gateway models would say the same twice',
      },
      { id: 'AwsSolutions-APIG3', reason: 'WAF has its own monthly price and is not part of this version' },
      {
        id: 'AwsSolutions-APIG4',
        reason: 'Tokens and API keys are verified by the functions, per row; a gateway authorizer comes with the identity stack',
      },
      {
        id: 'AwsSolutions-COG4',
        reason: 'Tokens and API keys are verified by the functions, per row; a gateway authorizer comes with the identity stack',
      },
    ],
    pipelines: [
      objects,
      {
        id: 'AwsSolutions-IAM5[Resource::*]',
        reason: 'Log delivery and X-Ray actions have no resource-level permission (Service Authorization Reference)',
      },
    ],
    schedules: [objects, { id: 'AwsSolutions-SQS3', reason: 'This queue is the dead-letter queue' }],
  }
}
