import * as z from 'zod'
import { parsedBody } from './functions.ts'
import { CloudFault, type CloudOptions, type CloudState } from './state.ts'

/** The services that speak JSON with an `X-Amz-Target`: logs, scaling, tags, metrics. By target, without the service's prefix. */
type Action = (state: CloudState, body: unknown, options: CloudOptions) => unknown

const retentions = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
const Group = z.object({
  logGroupName: z.string().regex(/^[.\-_/#A-Za-z0-9]{1,512}$/),
  tags: z.record(z.string(), z.string()).default({}),
})
const noGroup = () => new CloudFault('ResourceNotFoundException', 400, 'The specified log group does not exist.')

const logs: Record<string, Action> = {
  CreateLogGroup: ({ logGroups }, body) => {
    const { logGroupName, tags } = parsedBody(Group, body)
    if (logGroups.has(logGroupName))
      throw new CloudFault('ResourceAlreadyExistsException', 400, 'The specified log group already exists')
    logGroups.set(logGroupName, { retention: undefined, tags })
    return {}
  },
  PutRetentionPolicy: ({ logGroups }, body) => {
    const { logGroupName, retentionInDays } = parsedBody(Group.extend({ retentionInDays: z.number() }), body)
    if (!retentions.includes(retentionInDays))
      throw new CloudFault('InvalidParameterException', 400, `Invalid retention ${retentionInDays}`)
    const group = logGroups.get(logGroupName)
    if (!group) throw noGroup()
    group.retention = retentionInDays
    return {}
  },
  DescribeLogGroups: ({ logGroups }, body) => {
    const { logGroupNamePrefix } = parsedBody(z.object({ logGroupNamePrefix: z.string() }), body)
    const names = [...logGroups.keys()].filter((name) => name.startsWith(logGroupNamePrefix)).sort()
    return {
      logGroups: names.map((logGroupName) => {
        const retentionInDays = logGroups.get(logGroupName)?.retention
        return { logGroupName, ...(retentionInDays !== undefined && { retentionInDays }) }
      }),
    }
  },
  DeleteLogGroup: ({ logGroups }, body) => {
    if (!logGroups.delete(parsedBody(Group, body).logGroupName)) throw noGroup()
    return {}
  },
}

const Scalable = z.object({
  ServiceNamespace: z.literal('lambda'),
  ScalableDimension: z.literal('lambda:function:ProvisionedConcurrency').optional(),
  ResourceId: z.string().optional(),
  ResourceIds: z.array(z.string()).optional(),
})
const noTarget = (id: string) =>
  new CloudFault('ObjectNotFoundException', 400, `No scalable target found for service namespace: lambda, resource ID: ${id}`)

/** The alias must be there; its provisioned concurrency need not. */
const aliasExists = ({ functions }: CloudState, id: string): boolean => {
  const [, name = '', alias = ''] = id.split(':')
  return functions.get(name)?.aliases.has(alias) === true
}

const scaling: Record<string, Action> = {
  RegisterScalableTarget: (state, body) => {
    const schema = Scalable.extend({ ResourceId: z.string(), MinCapacity: z.number().int(), MaxCapacity: z.number().int() })
    const { ResourceId, MinCapacity: min, MaxCapacity: max } = parsedBody(schema, body)
    if (max < min) throw new CloudFault('ValidationException', 400, 'Maximum capacity cannot be less than minimum capacity')
    if (!aliasExists(state, ResourceId))
      throw new CloudFault('ValidationException', 400, 'ECS service or Lambda alias does not exist')
    state.scalable.set(ResourceId, { min, max, policies: state.scalable.get(ResourceId)?.policies ?? new Map() })
    return { ScalableTargetARN: `arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/${ResourceId.length}` }
  },
  PutScalingPolicy: ({ scalable }, body) => {
    const Tracking = z.object({
      TargetValue: z.number().min(0.1).max(0.9),
      PredefinedMetricSpecification: z.object({ PredefinedMetricType: z.literal('LambdaProvisionedConcurrencyUtilization') }),
    })
    const schema = Scalable.extend({
      ResourceId: z.string(),
      PolicyName: z.string(),
      TargetTrackingScalingPolicyConfiguration: Tracking,
    })
    const { ResourceId, PolicyName, TargetTrackingScalingPolicyConfiguration } = parsedBody(schema, body)
    const target = scalable.get(ResourceId)
    if (!target) throw noTarget(ResourceId)
    target.policies.set(PolicyName, { PolicyName, TargetTrackingScalingPolicyConfiguration })
    return { PolicyARN: `arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:${PolicyName}` }
  },
  DescribeScalableTargets: ({ scalable }, body) => {
    const { ResourceIds } = parsedBody(Scalable, body)
    const found = [...scalable].filter(([id]) => ResourceIds === undefined || ResourceIds.includes(id))
    return {
      ScalableTargets: found.map(([ResourceId, { min, max }]) => ({
        ResourceId,
        MinCapacity: min,
        MaxCapacity: max,
        ServiceNamespace: 'lambda',
      })),
    }
  },
  DescribeScalingPolicies: ({ scalable }, body) => ({
    ScalingPolicies: [...(scalable.get(parsedBody(Scalable, body).ResourceId ?? '')?.policies.values() ?? [])],
  }),
  DeregisterScalableTarget: ({ scalable }, body) => {
    const { ResourceId = '' } = parsedBody(Scalable, body)
    if (!scalable.delete(ResourceId)) throw noTarget(ResourceId)
    return {}
  },
}

const Filters = z.object({
  TagFilters: z.array(z.object({ Key: z.string(), Values: z.array(z.string()).optional() })),
  ResourceTypeFilters: z.array(z.string()),
})

const tagging: Record<string, Action> = {
  GetResources: ({ functions, logGroups }, body, { region, account }) => {
    const { TagFilters, ResourceTypeFilters } = parsedBody(Filters, body)
    const all = [
      ...[...functions.values()].map(({ name, tags }) => ({
        type: 'lambda:function',
        arn: `arn:aws:lambda:${region}:${account}:function:${name}`,
        tags,
      })),
      ...[...logGroups].map(([name, { tags }]) => ({
        type: 'logs:log-group',
        arn: `arn:aws:logs:${region}:${account}:log-group:${name}`,
        tags,
      })),
    ]
    const found = all.filter(
      ({ type, tags }) =>
        ResourceTypeFilters.includes(type) &&
        TagFilters.every(({ Key, Values }) => Key in tags && (Values?.includes(tags[Key] ?? '') ?? true)),
    )
    return {
      ResourceTagMappingList: found.map(({ arn, tags }) => ({
        ResourceARN: arn,
        Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
      })),
    }
  },
}

const Metrics = z.object({
  MetricDataQueries: z.array(
    z.object({
      Id: z.string().regex(/^[a-z][a-zA-Z0-9_]*$/),
      MetricStat: z.object({
        Period: z.number().refine((period) => period % 60 === 0),
        Metric: z.object({
          Namespace: z.literal('AWS/Lambda'),
          MetricName: z.enum(['Invocations', 'Errors']),
          Dimensions: z.array(z.object({ Name: z.string(), Value: z.string() })),
        }),
      }),
    }),
  ),
})

const metrics: Record<string, Action> = {
  GetMetricData: ({ counts }, body) => ({
    MetricDataResults: parsedBody(Metrics, body).MetricDataQueries.map(({ Id, MetricStat: { Metric } }) => {
      const dimension = (name: string) => Metric.Dimensions.find(({ Name }) => Name === name)?.Value
      const seen = counts.get(`${dimension('Resource')}#${dimension('ExecutedVersion')}`)
      const value = seen && (Metric.MetricName === 'Errors' ? seen.errors : seen.invocations)
      return {
        Id,
        StatusCode: 'Complete',
        Timestamps: value === undefined ? [] : [1_790_000_000],
        Values: value === undefined ? [] : [value],
      }
    }),
  }),
}

export const jsonServices: Record<string, Record<string, Action>> = {
  Logs_20140328: logs,
  AnyScaleFrontendService: scaling,
  ResourceGroupsTaggingAPI_20170126: tagging,
  GraniteServiceVersion20100801: metrics,
}
