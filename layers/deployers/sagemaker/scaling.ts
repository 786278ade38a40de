import {
  DeregisterScalableTargetCommand,
  DescribeScalableTargetsCommand,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
} from '@aws-sdk/client-application-auto-scaling'
import { DeleteAlarmsCommand, DescribeAlarmsCommand, PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch'
import { awsFailure } from '../../aws/failure.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { alarmName, endpointName, modelName, tagList, variantOf } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { orAbsent } from './patience.ts'
import type { Plan } from './plan.ts'

type Owned = Pick<Deployment, 'id' | 'organization_id' | 'revision'>
const VARIANT = 'sagemaker:variant:DesiredInstanceCount'
const COPIES = 'sagemaker:inference-component:DesiredCopyCount'
type Dimension = typeof VARIANT | typeof COPIES
const ServiceNamespace = 'sagemaker'

/** What scales: copies of a component, or the instances of the variant in force. */
const target = (
  stage: string,
  { id, revision }: Owned,
  components: boolean,
): { ResourceId: string; ScalableDimension: Dimension } =>
  components
    ? { ResourceId: `inference-component/${modelName(stage, id, revision)}`, ScalableDimension: COPIES }
    : { ResourceId: `endpoint/${endpointName(stage, id)}/variant/${variantOf(revision)}`, ScalableDimension: VARIANT }

const scales = (plan: Plan): boolean => plan.mode !== 'serverless' && plan.max_instances > plan.min_instances

/** Scales the revision in force between its bounds, and watches it; answers what was missing. */
export const ensureScaling = async (parts: SagemakerParts, deployment: Owned, plan: Plan): Promise<string[]> => {
  if (plan.mode === 'serverless') return []
  const scaling = parts.clients.scaling()
  const which = { ServiceNamespace, ...target(parts.stage, deployment, plan.components) } as const
  const repaired: string[] = []
  try {
    if (scales(plan)) {
      const { ScalableTargets: [known] = [] } = await scaling.send(
        new DescribeScalableTargetsCommand({ ServiceNamespace, ResourceIds: [which.ResourceId] }),
      )
      const bounds = { MinCapacity: plan.min_instances, MaxCapacity: plan.max_instances }
      if (known?.MinCapacity !== bounds.MinCapacity || known.MaxCapacity !== bounds.MaxCapacity) {
        await scaling.send(new RegisterScalableTargetCommand({ ...which, ...bounds }))
        await scaling.send(new PutScalingPolicyCommand({ ...which, PolicyName: 'load', ...tracking(parts, deployment, plan) }))
        repaired.push(`scaling between ${plan.min_instances} and ${plan.max_instances}`)
      }
    }
    if (plan.min_instances === 0) repaired.push(...(await ensureWaking(parts, deployment, plan, which)))
    if (plan.mode === 'real_time' && !plan.components) repaired.push(...(await ensureErrorAlarm(parts, deployment)))
    return repaired
  } catch (error) {
    throw awsFailure(error, `Scaling of deployment ${deployment.id}`)
  }
}

/** Load per instance to hold: CPU of a variant, waiting requests of an asynchronous one, requests at once per copy of a component. */
const tracking = ({ stage }: SagemakerParts, { id, revision }: Owned, plan: Plan) => {
  const endpoint = { Name: 'EndpointName', Value: endpointName(stage, id) }
  const cooldown = { ScaleInCooldown: 300, ScaleOutCooldown: 60 }
  const custom = (TargetValue: number, MetricName: string, Namespace: string, Dimensions: { Name: string; Value: string }[]) => ({
    PolicyType: 'TargetTrackingScaling' as const,
    TargetTrackingScalingPolicyConfiguration: {
      TargetValue,
      ...cooldown,
      CustomizedMetricSpecification: { MetricName, Namespace, Dimensions, Statistic: 'Average' as const },
    },
  })
  if (plan.mode === 'async') return custom(4, 'ApproximateBacklogSizePerInstance', 'AWS/SageMaker', [endpoint])
  const cores = plan.instance_types[0]?.vcpus ?? 1
  if (!plan.components) {
    const variant = { Name: 'VariantName', Value: variantOf(revision) }
    // The service counts every core as 100.
    return custom(plan.target_cpu_utilization * cores, 'CPUUtilization', '/aws/sagemaker/Endpoints', [endpoint, variant])
  }
  const per_copy = 'SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution'
  return {
    PolicyType: 'TargetTrackingScaling' as const,
    TargetTrackingScalingPolicyConfiguration: {
      TargetValue: 5,
      ...cooldown,
      PredefinedMetricSpecification: { PredefinedMetricType: per_copy as 'SageMakerInferenceComponentInvocationsPerCopy' },
    },
  }
}

type Which = { ServiceNamespace: typeof ServiceNamespace; ResourceId: string; ScalableDimension: Dimension }

/** At zero there is no load per instance to track: an alarm on waiting or refused requests adds the first one. */
const ensureWaking = async (parts: SagemakerParts, deployment: Owned, plan: Plan, which: Which): Promise<string[]> => {
  const AlarmName = alarmName(parts.stage, deployment.id, 'backlog')
  const { MetricAlarms: [known] = [] } = await parts.clients.alarms().send(new DescribeAlarmsCommand({ AlarmNames: [AlarmName] }))
  const metric =
    plan.mode === 'async'
      ? {
          MetricName: 'HasBacklogWithoutCapacity',
          Dimensions: [{ Name: 'EndpointName', Value: endpointName(parts.stage, deployment.id) }],
        }
      : {
          MetricName: 'NoCapacityInvocationFailures',
          Dimensions: [{ Name: 'InferenceComponentName', Value: modelName(parts.stage, deployment.id, deployment.revision) }],
        }
  const watched = JSON.stringify(metric.Dimensions)
  if (known !== undefined && JSON.stringify(known.Dimensions) === watched) return []
  const { PolicyARN = '' } = await parts.clients.scaling().send(
    new PutScalingPolicyCommand({
      ...which,
      PolicyName: 'wake',
      PolicyType: 'StepScaling',
      StepScalingPolicyConfiguration: {
        AdjustmentType: 'ChangeInCapacity',
        MetricAggregationType: 'Maximum',
        Cooldown: 60,
        StepAdjustments: [{ MetricIntervalLowerBound: 0, ScalingAdjustment: 1 }],
      },
    }),
  )
  await putAlarm(parts, deployment, { AlarmName, ...metric, Threshold: 1, AlarmActions: [PolicyARN] })
  return [`alarm ${AlarmName}`]
}

/** The alarm of the revision that is about to come up: an update is rolled back by what the new variant answers, not the old one. */
export const watchErrors = async (parts: SagemakerParts, deployment: Owned): Promise<void> => {
  try {
    await ensureErrorAlarm(parts, deployment)
  } catch (error) {
    throw awsFailure(error, `Watching deployment ${deployment.id}`)
  }
}

/** What an update is rolled back by. */
const ensureErrorAlarm = async (parts: SagemakerParts, deployment: Owned): Promise<string[]> => {
  const AlarmName = alarmName(parts.stage, deployment.id, 'errors')
  const { MetricAlarms: [known] = [] } = await parts.clients.alarms().send(new DescribeAlarmsCommand({ AlarmNames: [AlarmName] }))
  const Dimensions = [
    { Name: 'EndpointName', Value: endpointName(parts.stage, deployment.id) },
    { Name: 'VariantName', Value: variantOf(deployment.revision) },
  ]
  if (known !== undefined && JSON.stringify(known.Dimensions) === JSON.stringify(Dimensions)) return []
  await putAlarm(parts, deployment, { AlarmName, MetricName: 'Invocation5XXErrors', Dimensions, Threshold: 5, AlarmActions: [] })
  return [`alarm ${AlarmName}`]
}

const putAlarm = (
  parts: SagemakerParts,
  deployment: Owned,
  alarm: {
    AlarmName: string
    MetricName: string
    Dimensions: { Name: string; Value: string }[]
    Threshold: number
    AlarmActions: string[]
  },
) =>
  parts.clients.alarms().send(
    new PutMetricAlarmCommand({
      ...alarm,
      Namespace: 'AWS/SageMaker',
      Statistic: 'Sum',
      Period: 60,
      EvaluationPeriods: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
      Tags: tagList(parts.stage, deployment),
    }),
  )

/** Lets go of what scales a revision; an endpoint is neither deleted nor changed while it is scaled. */
export const removeScaling = async (parts: SagemakerParts, deployment: Owned, components: boolean): Promise<boolean> => {
  const which = { ServiceNamespace, ...target(parts.stage, deployment, components) } as const
  const doing = 'Ending the scaling'
  return (await orAbsent(parts.clients.scaling().send(new DeregisterScalableTargetCommand(which)), doing)) !== undefined
}

export const removeAlarms = async (parts: SagemakerParts, deployment_id: string): Promise<string[]> => {
  const names = (['errors', 'backlog'] as const).map((what) => alarmName(parts.stage, deployment_id, what))
  try {
    const { MetricAlarms = [] } = await parts.clients.alarms().send(new DescribeAlarmsCommand({ AlarmNames: names }))
    const AlarmNames = MetricAlarms.flatMap(({ AlarmName }) => AlarmName ?? [])
    if (AlarmNames.length > 0) await parts.clients.alarms().send(new DeleteAlarmsCommand({ AlarmNames }))
    return AlarmNames
  } catch (error) {
    throw awsFailure(error, 'Removing alarms')
  }
}
