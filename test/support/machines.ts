import { App, Stack } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { pipelineMachine } from '../../lib/constructs/pipeline-machine.ts'
import { names } from '../../lib/names.ts'
import { readStage } from '../../lib/stage.ts'
import { stepsOf } from '../../lib/units.ts'

/** The synthesised definitions by pipeline id, with every CloudFormation reference replaced by a fixed name. */
export const definitions = (template: Template): Map<string, unknown> =>
  new Map(
    Object.values(template.findResources('AWS::StepFunctions::StateMachine')).map(({ Properties }) => {
      const text = [Properties.DefinitionString].flat().map(joined).join('')
      return [String(Properties.StateMachineName).replace(/^aideploy-dev-/, ''), JSON.parse(text)]
    }),
  )

const joined = (value: unknown): string => {
  if (typeof value === 'string') return value
  const parts: unknown = Reflect.get(Object(value), 'Fn::Join')
  if (Array.isArray(parts)) return parts[1].map(joined).join(parts[0])
  return JSON.stringify(value).replace(/^.*"(\w+)".*$/, 'arn:aws:lambda:us-east-1:123456789012:function:$1')
}

let synthesisedMachines: Map<string, unknown> | undefined

/**
 * Every pipeline's synthesised machine by ARN, as Step Functions of stage dev would know it. The functions of its tasks go by their
 * names; the rest of the platform is left out, because synthesising it takes seconds.
 */
export const platformMachines = (): ReadonlyMap<string, unknown> => {
  synthesisedMachines ??= new Map(
    Object.values(pipelines).map((row) => {
      const stack = new Stack(new App({ analyticsReporting: false, builtinCloudFormationValidation: false }), 'machines')
      const functions = new Map(
        stepsOf(row).map(({ name }) => [
          name,
          LambdaFunction.fromFunctionArn(
            stack,
            `function ${name}`,
            functionArn(names({ name: 'dev' }).functionName(`step-${name}`)),
          ),
        ]),
      )
      pipelineMachine(stack, row, functions, readStage({}))
      const [definition] = definitions(Template.fromStack(stack)).values()
      return [machineArn(names({ name: 'dev' }).machine(row.id)), definition]
    }),
  )
  return synthesisedMachines
}

const functionArn = (name: string): string => `arn:aws:lambda:us-east-1:123456789012:function:${name}`
export const machineArn = (name: string): string => `arn:aws:states:us-east-1:123456789012:stateMachine:${name}`
