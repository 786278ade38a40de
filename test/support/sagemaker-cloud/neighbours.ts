import type { JsonObject } from '../../../layers/core/domain/json.ts'
import { ServiceError } from '../aws-json-server.ts'
import type { Orders } from './control.ts'
import { type CloudState, invalid } from './state.ts'

/** Application Auto Scaling, CloudWatch alarms and Logs, as far as they are used. */
export const neighbours = (state: CloudState): Record<string, (input: JsonObject) => object> => ({
  DescribeScalableTargets: ({ ResourceIds }) => ({
    ScalableTargets: (Array.isArray(ResourceIds) ? ResourceIds : []).flatMap((id) => state.scaling.get(String(id)) ?? []),
  }),
  RegisterScalableTarget: (input) => {
    const id = String(input.ResourceId)
    const [kind, name = '', , variant = ''] = id.split('/')
    const there = kind === 'endpoint' ? state.endpoints.get(name)?.weights.has(variant) : state.components.has(name)
    if (!there) throw invalid(`No such resource: ${id}`)
    state.scaling.set(id, input)
    return {}
  },
  DeregisterScalableTarget: ({ ResourceId }) => {
    if (state.scaling.delete(String(ResourceId))) return {}
    throw new ServiceError('ObjectNotFoundException', `No scalable target registered for ${String(ResourceId)}`)
  },
  PutScalingPolicy: (input) => {
    if (!state.scaling.has(String(input.ResourceId)))
      throw new ServiceError('ObjectNotFoundException', 'No scalable target registered')
    state.policies.set(`${String(input.ResourceId)} ${String(input.PolicyName)}`, input)
    return { PolicyARN: `arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:x:${String(input.PolicyName)}` }
  },
  PutMetricAlarm: (input) => {
    state.alarms.set(String(input.AlarmName), input)
    return {}
  },
  DescribeAlarms: ({ AlarmNames }) => ({
    MetricAlarms: (Array.isArray(AlarmNames) ? AlarmNames : []).flatMap((name) => state.alarms.get(String(name)) ?? []),
  }),
  DeleteAlarms: ({ AlarmNames }) => {
    for (const name of Array.isArray(AlarmNames) ? AlarmNames : []) state.alarms.delete(String(name))
    return {}
  },
  CreateLogGroup: ({ logGroupName: name }) => {
    if (state.log_groups.has(String(name)))
      throw new ServiceError('ResourceAlreadyExistsException', 'The specified log group already exists')
    state.log_groups.set(String(name), {})
    return {}
  },
  PutRetentionPolicy: ({ logGroupName: name, retentionInDays }) => {
    const group = state.log_groups.get(String(name))
    if (!group) throw new ServiceError('ResourceNotFoundException', 'The specified log group does not exist.')
    group.retention = Number(retentionInDays)
    return {}
  },
  DeleteLogGroup: ({ logGroupName: name }) => {
    if (state.log_groups.delete(String(name))) return {}
    throw new ServiceError('ResourceNotFoundException', 'The specified log group does not exist.')
  },
})

/** IAM speaks the query protocol: a form in, XML out. */
export const iamAnswer = (state: CloudState, orders: Orders, form: URLSearchParams): string => {
  const input = Object.fromEntries(form)
  const { Action = '', RoleName = '', PolicyName = '', PolicyDocument = '' } = input
  const result = (inner: string): string =>
    `<${Action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><${Action}Result>${inner}</${Action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></${Action}Response>`
  const role = state.roles.get(RoleName)
  const missing = (): never => {
    throw new ServiceError('NoSuchEntity', `The role with name ${RoleName} cannot be found.`, 404)
  }
  if (Action === 'CreateRole') {
    if (role) throw new ServiceError('EntityAlreadyExists', `Role with name ${RoleName} already exists.`, 409)
    if (!/^\/aideploy\//.test(input.Path ?? '') || !input.PermissionsBoundary)
      throw new ServiceError('AccessDenied', 'No boundary', 403)
    if (!/^[\w+=,.@-]{1,64}$/.test(RoleName)) throw new ServiceError('ValidationError', `RoleName ${RoleName}`)
    state.roles.set(RoleName, { policies: new Map(), known_after: orders.role_delay, input })
    const arn = `arn:aws:iam::123456789012:role${input.Path}${RoleName}`
    return result(
      `<Role><Path>${input.Path}</Path><RoleName>${RoleName}</RoleName><RoleId>AROA</RoleId><Arn>${arn}</Arn><CreateDate>2026-11-20T00:00:00Z</CreateDate></Role>`,
    )
  }
  if (!role) return missing()
  if (Action === 'PutRolePolicy') role.policies.set(PolicyName, PolicyDocument)
  if (Action === 'DeleteRolePolicy' && !role.policies.delete(PolicyName)) return missing()
  if (Action === 'DeleteRole') {
    if (role.policies.size > 0) throw new ServiceError('DeleteConflict', 'Cannot delete entity, must delete policies first.', 409)
    state.roles.delete(RoleName)
  }
  if (Action === 'ListRolePolicies') {
    const members = [...role.policies.keys()].map((name) => `<member>${name}</member>`).join('')
    return result(`<PolicyNames>${members}</PolicyNames><IsTruncated>false</IsTruncated>`)
  }
  if (Action === 'GetRolePolicy') {
    const policy = role.policies.get(PolicyName)
    if (policy === undefined) return missing()
    return result(
      `<RoleName>${RoleName}</RoleName><PolicyName>${PolicyName}</PolicyName><PolicyDocument>${encodeURIComponent(policy)}</PolicyDocument>`,
    )
  }
  return result('')
}
