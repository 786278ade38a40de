import * as z from 'zod'
import { PolicyDocument } from '../support/iam-evaluator.ts'
import { type Evaluate, resourcesOf, type Template } from './intrinsics.ts'
import { machineArn, type Resources } from './synthesise.ts'

const Inline = z.array(z.object({ PolicyDocument })).default([])
const Role = z.object({
  RoleName: z.string().optional(),
  Policies: Inline,
  ManagedPolicyArns: z.array(z.string()).default([]),
})
const Attached = z.object({ PolicyDocument, Roles: z.array(z.string()).default([]) })

/** The identity policies of every role in the templates by the role's ARN; a managed policy of AWS stops the test, for its text is not here. */
export const rolesIn = (templates: ReadonlyMap<string, Template>, evaluate: Evaluate): Map<string, PolicyDocument[]> => {
  const ofType = (type: string) => resourcesOf(templates, evaluate, type)
  const attached = [...ofType('AWS::IAM::Policy'), ...ofType('AWS::IAM::ManagedPolicy')].map(({ properties }) =>
    Attached.parse(properties),
  )
  const roles = new Map<string, PolicyDocument[]>()
  for (const { logical_id, properties } of ofType('AWS::IAM::Role')) {
    const { RoleName, Policies, ManagedPolicyArns } = Role.parse(properties)
    const name = RoleName ?? logical_id
    const arn = `arn:aws:iam::123456789012:role/${name}`
    if (roles.has(arn)) throw new Error(`Two stacks have a role ${name}`)
    if (ManagedPolicyArns.length > 0 && !/CloudWatchRole/.test(logical_id))
      throw new Error(`${logical_id} has managed policies: ${ManagedPolicyArns.join(', ')}`)
    const others = attached.filter(({ Roles }) => Roles.includes(name)).map((policy) => policy.PolicyDocument)
    roles.set(arn, [...Policies.map((policy) => policy.PolicyDocument), ...others])
  }
  return roles
}

/** Whose role is which: functions and schedules by name, state machines by ARN. */
export const rolesByCaller = (ofType: Resources): Map<string, string> => {
  const text = (value: unknown): string => String(value)
  return new Map([
    ...ofType('AWS::Lambda::Function').map(({ properties: of }) => [text(of.FunctionName), text(of.Role)] as const),
    ...ofType('AWS::StepFunctions::StateMachine').map(({ properties: of }) => [machineArn(of), text(of.RoleArn)] as const),
    ...ofType('AWS::Scheduler::Schedule').map(({ properties: of }) => [text(of.Name), text(Object(of.Target).RoleArn)] as const),
  ])
}

/** The permissions boundary that the data stack makes, and the policies of its buckets, which may deny. */
export const limitsIn = (templates: ReadonlyMap<string, Template>, evaluate: Evaluate) => {
  const boundary = resourcesOf(templates, evaluate, 'AWS::IAM::ManagedPolicy').find(({ properties }) =>
    String(properties.ManagedPolicyName).endsWith('-boundary'),
  )
  const { Path, ManagedPolicyName, PolicyDocument: document } = boundary?.properties ?? {}
  return {
    boundary: { arn: `arn:aws:iam::123456789012:policy${Path}${ManagedPolicyName}`, document: PolicyDocument.parse(document) },
    buckets: resourcesOf(templates, evaluate, 'AWS::S3::BucketPolicy').map(({ properties }) =>
      PolicyDocument.parse(properties.PolicyDocument),
    ),
  }
}
