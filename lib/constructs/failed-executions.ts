import { Stack } from 'aws-cdk-lib'
import { Match, Rule } from 'aws-cdk-lib/aws-events'
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets'
import type { IQueue } from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { names } from '../names.ts'
import type { Stage } from '../stage.ts'

/**
 * Executions that failed through no fault of the caller (`Final` is what a step throws for a caller's or a model's fault, so a bad
 * model raises no alarm) are kept like every other failure nobody waits for.
 */
export const keepFailedExecutions = (scope: Construct, stage: Stage, queue: IQueue): Rule => {
  const { partition, region, account } = Stack.of(scope)
  const machine = (id: string): string => `arn:${partition}:states:${region}:${account}:stateMachine:${names(stage).machine(id)}`
  return new Rule(scope, 'failed-executions', {
    description: 'Pipelines that failed and were not the caller’s fault',
    eventPattern: {
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: {
        stateMachineArn: Object.keys(pipelines).map(machine),
        // An execution that ran out of time has no error to compare.
        $or: [{ status: ['TIMED_OUT', 'ABORTED'] }, { status: ['FAILED'], error: Match.anythingBut('Final') }],
      },
    },
    targets: [new SqsQueue(queue, { deadLetterQueue: queue })],
  })
}
