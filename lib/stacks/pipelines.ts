import { Stack, type StackProps } from 'aws-cdk-lib'
import type { Code } from 'aws-cdk-lib/aws-lambda'
import type { Construct } from 'constructs'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { pipelineMachine } from '../constructs/pipeline-machine.ts'
import { platformFunction } from '../constructs/platform-function.ts'
import type { Stage } from '../stage.ts'
import { units } from '../units.ts'
import type { Data } from './data.ts'

/** Every row of the pipeline table as a state machine, every step as a function of its own size and time limit. */
export class PipelinesStack extends Stack {
  constructor(
    scope: Construct,
    id: string,
    { stage, data, code, ...props }: StackProps & { stage: Stage; data: Data; code: Code },
  ) {
    super(scope, id, props)
    const steps = units.filter(({ kind }) => kind === 'step')
    const functions = new Map(
      steps.map((unit) => [unit.name.replace(/^step-/, ''), platformFunction(this, { unit, stage, data, code })]),
    )
    for (const row of Object.values(pipelines)) pipelineMachine(this, row, functions, stage)
  }
}
