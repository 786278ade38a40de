import type { Template } from 'aws-cdk-lib/assertions'

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
