import { type FieldError, PlatformError } from '../contract/errors.ts'
import { type DeploymentSpec, knownDeploymentTypes } from '../domain/deployment.ts'
import { memoryBytes } from '../domain/memory-size.ts'
import type { Model } from '../domain/model.ts'
import type { App } from '../ports/app.ts'
import type { Deployer } from '../ports/deployer.ts'

/** The deployer of a type. Fails with `unavailable_here` (facts.available) for a known type, `invalid_request` for any other. */
export const deployerOf = (app: Pick<App, 'deployers'>, deployment_type: string): Deployer => {
  const deployer = app.deployers.get(deployment_type)
  if (deployer !== undefined) return deployer
  const available = [...app.deployers.keys()]
  const known: readonly string[] = knownDeploymentTypes
  const listed = available.join(', ') || 'none'
  if (known.includes(deployment_type)) {
    throw new PlatformError(
      'unavailable_here',
      `Deployments of type ${deployment_type} are not available here; available: ${listed}`,
      {
        facts: { available },
      },
    )
  }
  const detail = `got ${JSON.stringify(deployment_type)}, wanted one of ${[...new Set([...available, ...known])].join(', ')}`
  throw new PlatformError('invalid_request', `deployment_type: ${detail}`, {
    errors: [{ pointer: '/deployment_type', detail }],
    facts: { available },
  })
}

type Settings = Pick<
  DeploymentSpec,
  'resource_requirements' | 'scaling_policy' | 'cost_optimization_policy' | 'metadata' | 'record_requests'
>

/** Fails with `invalid_request` naming every member the deployer cannot honour, by JSON pointer. */
export const assertSettings = (deployer: Deployer, spec: Settings): void => {
  const { resource_requirements, scaling_policy, cost_optimization_policy, metadata } = spec
  const parsed = deployer.settings.safeParse({ resource_requirements, scaling_policy, cost_optimization_policy, metadata })
  const issues = parsed.success ? [] : parsed.error.issues
  const named = issues.map((issue) => ({ pointer: `/${issue.path.map(segment).join('/')}`, detail: issue.message }))
  const errors = [
    ...named,
    ...beyondCapabilities(deployer, spec).filter(({ pointer }) => named.every((error) => error.pointer !== pointer)),
  ]
  if (errors.length === 0) return
  const first = errors[0] as FieldError
  throw new PlatformError('invalid_request', `${first.pointer}: ${first.detail}`, { errors })
}

/** RFC 6901. */
const segment = (key: PropertyKey): string => String(key).replaceAll('~', '~0').replaceAll('/', '~1')

const beyondCapabilities = (
  { type, capabilities }: Deployer,
  { resource_requirements: wanted, record_requests }: Settings,
): FieldError[] => {
  const errors: FieldError[] = []
  const memory_bytes = memoryBytes(wanted.memory)
  if (memory_bytes > capabilities.max_memory_bytes) {
    const most = `${Math.floor(capabilities.max_memory_bytes / 2 ** 20)}Mi`
    errors.push({ pointer: '/resource_requirements/memory', detail: `got ${wanted.memory}, wanted at most ${most} for ${type}` })
  }
  if (wanted.timeout > capabilities.max_timeout_s) {
    const detail = `got ${wanted.timeout}, wanted at most ${capabilities.max_timeout_s} seconds for ${type}`
    errors.push({ pointer: '/resource_requirements/timeout', detail })
  }
  if (wanted.gpu !== null && !capabilities.gpu) {
    errors.push({
      pointer: '/resource_requirements/gpu',
      detail: `got ${JSON.stringify(wanted.gpu)}; ${type} has no GPU, wanted null`,
    })
  }
  if (record_requests && !capabilities.records_requests)
    errors.push({ pointer: '/record_requests', detail: `deployments of type ${type} keep no requests; wanted null` })
  return errors
}

/** Fails with `framework_unsupported`, naming what to upload instead. */
export const assertFramework = (deployer: Deployer, model: Pick<Model, 'id' | 'framework' | 'inspection'>): void => {
  const { frameworks } = deployer.capabilities
  if (frameworks.includes(model.framework)) return
  const what = model.inspection === null ? model.framework : `${model.framework} (${model.inspection.format})`
  throw new PlatformError(
    'framework_unsupported',
    `Model ${model.id} is ${what}; ${deployer.type} serves ${frameworks.join(', ')}. ${uploadInstead(model)}`,
    { facts: { available: frameworks } },
  )
}

const uploadInstead = ({ framework, inspection }: Pick<Model, 'framework' | 'inspection'>): string => {
  if (inspection?.format === 'pytorch_state_dict') {
    return 'A state_dict holds weights without a network: export the module with torch.onnx.export and upload the .onnx file'
  }
  if (framework === 'pytorch') return 'Export it with torch.onnx.export and upload the .onnx file'
  if (framework === 'tensorflow') return 'Convert it with tf2onnx and upload the .onnx file'
  return 'Upload it in one of these formats'
}
