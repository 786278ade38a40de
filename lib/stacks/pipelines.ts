import { Stack, type StackProps } from 'aws-cdk-lib'
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions'
import type { Construct } from 'constructs'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { pipelineMachine } from '../constructs/pipeline-machine.ts'
import { platformFunction } from '../constructs/platform-function.ts'
import { processingRole } from '../constructs/processing-role.ts'
import type { Parts } from '../parts.ts'
import { units } from '../units.ts'

/** Every row of the pipeline table as a state machine, every step as a function of its own size and time limit. */
export class PipelinesStack extends Stack {
  readonly machines: readonly StateMachine[]

  constructor(scope: Construct, id: string, { parts, ...props }: StackProps & { parts: Parts }) {
    super(scope, id, props)
    processingRole(this, parts)
    const functions = new Map(
      units
        .filter(({ kind }) => kind === 'step')
        .map((unit) => [unit.name.replace(/^step-/, ''), platformFunction(this, { unit, ...parts })]),
    )
    this.machines = Object.values(pipelines).map((row) => pipelineMachine(this, row, functions, parts.stage))
  }
}
