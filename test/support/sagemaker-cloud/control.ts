import type { JsonObject } from '../../../layers/core/domain/json.ts'
import { ServiceError } from '../aws-json-server.ts'
import { type CloudState, checkedName, type Endpoint, invalid, objects } from './state.ts'

/** How the service behaves on order. */
export interface Orders {
  /** Looks at an endpoint that changes before it is in its new state. */
  looks: number
  /** Instance types there is no room for, and how that shows. */
  no_room: Map<string, 'ResourceLimitExceeded' | 'capacity'>
  /** What the next endpoint or update fails with. */
  fails: string | undefined
  refuses_zero: boolean
  /** Calls that find a new role unknown. */
  role_delay: number
}

const arn = (kind: string, name: string): string => `arn:aws:sagemaker:us-east-1:123456789012:${kind}/${name}`
const absent = (kind: string, name: string): ServiceError => invalid(`Could not find ${kind} "${arn(kind, name)}".`)
const TRANSIENT = /^(Creating|Updating|RollingBack|Deleting)$/

/** SageMaker's control plane, as far as it is used, with its own limits and its own words. */
export const controlPlane = (state: CloudState, orders: Orders): Record<string, (input: JsonObject) => object> => {
  const roleOf = (role_arn: unknown): void => {
    const role = state.roles.get(String(role_arn).split('/').at(-1) ?? '')
    if (!role || role.known_after-- > 0)
      throw invalid(
        `Could not assume role ${String(role_arn)}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' to assume the role.`,
      )
  }
  const variantsOf = (config: string): JsonObject[] => objects(state.configs.get(config)?.ProductionVariants)
  const begin = (endpoint: Endpoint, passing: string, config: string, before?: string): void => {
    const types = variantsOf(config).map(({ InstanceType }) => String(InstanceType))
    const full = types.find((type) => orders.no_room.get(type) === 'capacity')
    const reason = full
      ? `Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error for ${full}`
      : orders.fails
    orders.fails = undefined
    const failed = before === undefined ? { status: 'Failed', config } : { status: 'InService', config: before }
    endpoint.next = reason === undefined ? { status: 'InService', config } : { ...failed, reason }
    endpoint.status = passing
    endpoint.looks_left = orders.looks
  }
  const checkRoom = (config: string): void => {
    const limited = variantsOf(config).find(
      ({ InstanceType }) => orders.no_room.get(String(InstanceType)) === 'ResourceLimitExceeded',
    )
    if (limited)
      throw new ServiceError(
        'ResourceLimitExceeded',
        `The account-level service limit '${String(limited.InstanceType)} for endpoint usage' is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances.`,
      )
  }
  const look = (name: string): Endpoint => {
    const endpoint = state.endpoints.get(name)
    if (!endpoint) throw absent('endpoint', name)
    if (!TRANSIENT.test(endpoint.status) || endpoint.looks_left-- > 0) return endpoint
    if (endpoint.status === 'Deleting') {
      state.endpoints.delete(name)
      throw absent('endpoint', name)
    }
    const { next } = endpoint
    Object.assign(endpoint, {
      status: next?.status ?? 'InService',
      config: next?.config ?? endpoint.config,
      reason: next?.reason,
    })
    endpoint.weights = new Map(
      variantsOf(endpoint.config).map((one) => [String(one.VariantName), Number(one.InitialVariantWeight ?? 1)]),
    )
    return endpoint
  }
  const scaled = (name: string): boolean => [...state.scaling.keys()].some((id) => id.startsWith(`endpoint/${name}/`))
  const page = (key: string, member: string, names: Iterable<string>, { NameContains = '' }: JsonObject): object => ({
    [key]: [...names].filter((name) => name.includes(String(NameContains))).map((name) => ({ [member]: name })),
  })

  return {
    CreateModel: (input) => {
      const name = checkedName(input.ModelName)
      if (state.models.has(name)) throw invalid(`Cannot create already existing model "${arn('model', name)}".`)
      roleOf(input.ExecutionRoleArn)
      state.models.set(name, input)
      return { ModelArn: arn('model', name) }
    },
    DescribeModel: ({ ModelName }) => state.models.get(String(ModelName)) ?? fail(absent('model', String(ModelName))),
    DeleteModel: ({ ModelName }) => (state.models.delete(String(ModelName)) ? {} : fail(absent('model', String(ModelName)))),
    ListModels: (input) => page('Models', 'ModelName', state.models.keys(), input),
    CreateEndpointConfig: (input) => {
      const name = checkedName(input.EndpointConfigName)
      if (state.configs.has(name))
        throw invalid(`Cannot create already existing endpoint configuration "${arn('endpoint-config', name)}".`)
      checkVariants(state, input, orders)
      if (input.ExecutionRoleArn !== undefined) roleOf(input.ExecutionRoleArn)
      state.configs.set(name, input)
      return { EndpointConfigArn: arn('endpoint-config', name) }
    },
    DescribeEndpointConfig: ({ EndpointConfigName: name }) =>
      state.configs.get(String(name)) ?? fail(absent('endpoint-config', String(name))),
    DeleteEndpointConfig: ({ EndpointConfigName: name }) =>
      state.configs.delete(String(name)) ? {} : fail(absent('endpoint-config', String(name))),
    ListEndpointConfigs: (input) => page('EndpointConfigs', 'EndpointConfigName', state.configs.keys(), input),
    CreateEndpoint: (input) => {
      const [name, config] = [checkedName(input.EndpointName), String(input.EndpointConfigName)]
      if (state.endpoints.has(name)) throw invalid(`Cannot create already existing endpoint "${arn('endpoint', name)}".`)
      if (!state.configs.has(config)) throw absent('endpoint-config', config)
      checkRoom(config)
      const endpoint: Endpoint = {
        name,
        config,
        status: '',
        looks_left: 0,
        next: undefined,
        reason: undefined,
        weights: new Map(),
      }
      begin(endpoint, 'Creating', config)
      state.endpoints.set(name, endpoint)
      return { EndpointArn: arn('endpoint', name) }
    },
    UpdateEndpoint: ({ EndpointName, EndpointConfigName, DeploymentConfig }) => {
      const [endpoint, config] = [look(String(EndpointName)), String(EndpointConfigName)]
      if (endpoint.status !== 'InService')
        throw invalid(`Cannot update in-progress endpoint "${arn('endpoint', endpoint.name)}".`)
      if (!state.configs.has(config)) throw absent('endpoint-config', config)
      if (scaled(endpoint.name))
        throw invalid('The variant(s) are configured as a scalable target and cannot be removed. Deregister first.')
      for (const alarm of alarmsOf(DeploymentConfig)) if (!state.alarms.has(alarm)) throw invalid(`Alarm ${alarm} does not exist`)
      checkRoom(config)
      begin(endpoint, 'Updating', config, endpoint.config)
      return { EndpointArn: arn('endpoint', endpoint.name) }
    },
    UpdateEndpointWeightsAndCapacities: ({ EndpointName, DesiredWeightsAndCapacities }) => {
      const endpoint = look(String(EndpointName))
      if (endpoint.status !== 'InService')
        throw invalid(`Cannot update in-progress endpoint "${arn('endpoint', endpoint.name)}".`)
      for (const { VariantName, DesiredWeight } of objects(DesiredWeightsAndCapacities)) {
        if (!endpoint.weights.has(String(VariantName))) throw invalid(`Could not find variant ${String(VariantName)}`)
        endpoint.weights.set(String(VariantName), Number(DesiredWeight))
      }
      return {}
    },
    DescribeEndpoint: ({ EndpointName }) => {
      const endpoint = look(String(EndpointName))
      const variants = [...endpoint.weights].map(([VariantName, CurrentWeight]) => ({
        VariantName,
        CurrentWeight,
        CurrentInstanceCount: 1,
      }))
      const shown = { EndpointName: endpoint.name, EndpointConfigName: endpoint.config, EndpointStatus: endpoint.status }
      return { ...shown, ProductionVariants: variants, ...(endpoint.reason ? { FailureReason: endpoint.reason } : {}) }
    },
    DeleteEndpoint: ({ EndpointName }) => {
      const endpoint = look(String(EndpointName))
      if (/^(Updating|RollingBack)$/.test(endpoint.status))
        throw invalid(`Cannot delete in-progress endpoint "${endpoint.name}".`)
      if ([...state.components.values()].some((one) => one.EndpointName === endpoint.name))
        throw invalid(`Endpoint ${endpoint.name} cannot be deleted while it has inference components.`)
      Object.assign(endpoint, { status: 'Deleting', looks_left: orders.looks })
      return {}
    },
    ListEndpoints: (input) => page('Endpoints', 'EndpointName', state.endpoints.keys(), input),
    ...components(state, orders, look),
  }
}

const fail = (error: Error): never => {
  throw error
}

const alarmsOf = (config: unknown): string[] => {
  const rollback = typeof config === 'object' && config !== null ? Reflect.get(config, 'AutoRollbackConfiguration') : undefined
  const alarms = typeof rollback === 'object' && rollback !== null ? Reflect.get(rollback, 'Alarms') : []
  return objects(alarms).map(({ AlarmName }) => String(AlarmName))
}

const checkVariants = (state: CloudState, config: JsonObject, orders: Orders): void => {
  const variants = objects(config.ProductionVariants)
  const serverless = variants.filter(({ ServerlessConfig }) => ServerlessConfig !== undefined)
  if (serverless.length > 0 && variants.length > 1) throw invalid('Serverless endpoints support a single production variant.')
  if (config.AsyncInferenceConfig !== undefined && variants.length > 1)
    throw invalid('Async endpoints support a single production variant.')
  for (const { ServerlessConfig: sizes } of serverless) {
    const { MemorySizeInMB: mb, MaxConcurrency: most, ProvisionedConcurrency: kept = 1 } = JSON.parse(JSON.stringify(sizes))
    if (![1024, 2048, 3072, 4096, 5120, 6144].includes(mb)) throw invalid(`MemorySizeInMB ${mb} is not supported`)
    if (!(most >= 1 && most <= 200) || !(kept >= 1 && kept <= most)) throw invalid('Concurrency is out of range')
  }
  for (const variant of variants) {
    const { ModelName: model, ManagedInstanceScaling: managed, InstanceType: type } = variant
    if (model !== undefined && !state.models.has(String(model))) throw absent('model', String(model))
    if (model !== undefined && managed !== undefined)
      throw invalid('ManagedInstanceScaling is only supported with inference components.')
    if (model === undefined && config.ExecutionRoleArn === undefined)
      throw invalid('ExecutionRoleArn is required for inference components.')
    if (type !== undefined && !/^ml\.[a-z0-9-]+\.[a-z0-9]+$/.test(String(type))) throw invalid(`InstanceType ${String(type)}`)
    if (orders.refuses_zero && JSON.stringify(managed ?? {}).includes('"MinInstanceCount":0'))
      throw invalid('MinInstanceCount must be greater than or equal to 1 in this region.')
  }
}

const components = (state: CloudState, orders: Orders, look: (endpoint: string) => Endpoint) => ({
  CreateInferenceComponent: (input: JsonObject) => {
    const name = checkedName(input.InferenceComponentName)
    if (state.components.has(name)) throw invalid(`Cannot create already existing inference component "${name}".`)
    if (look(String(input.EndpointName)).status !== 'InService') throw invalid('The endpoint is in-progress')
    if (!JSON.stringify(input.RuntimeConfig).includes('"CopyCount":1'))
      throw invalid('CopyCount must be greater than or equal to 1')
    state.components.set(name, { ...input, status: 'Creating', looks_left: orders.looks })
    return {}
  },
  DescribeInferenceComponent: ({ InferenceComponentName: name }: JsonObject) => {
    const found = state.components.get(String(name))
    if (!found) throw absent('inference-component', String(name))
    found.looks_left = (found.looks_left ?? 0) - 1
    if (found.looks_left >= 0) return { InferenceComponentName: name, InferenceComponentStatus: found.status }
    if (found.status === 'Deleting') {
      state.components.delete(String(name))
      throw absent('inference-component', String(name))
    }
    found.status = 'InService'
    return { InferenceComponentName: name, InferenceComponentStatus: 'InService' }
  },
  DeleteInferenceComponent: ({ InferenceComponentName: name }: JsonObject) => {
    const found = state.components.get(String(name))
    if (!found) throw absent('inference-component', String(name))
    Object.assign(found, { status: 'Deleting', looks_left: orders.looks })
    return {}
  },
  ListInferenceComponents: ({ EndpointNameEquals }: JsonObject) => ({
    InferenceComponents: [...state.components.values()]
      .filter((one) => one.EndpointName === EndpointNameEquals)
      .map(({ InferenceComponentName }) => ({ InferenceComponentName })),
  }),
})
