import { PlatformError } from '../../core/contract/errors.ts'
import type { DeployTarget, InferenceReply } from '../../core/ports/deployer.ts'
import { usageOf } from './infer.ts'
import { servingOf } from './model-archive.ts'

const platforms = { triton: 'onnx_onnxv1', pytorch: 'pytorch_torchscript', tensorflow: 'tensorflow_savedmodel' } as const

/**
 * The protocol's GETs. An endpoint of SageMaker takes invocations only, so they are answered from what the platform knows; a deployment
 * whose calls are answered is up. Fails with `not_found` for anything else.
 */
export const describe = ({ deployment, model }: DeployTarget, path: string): InferenceReply => {
  const encoded = encodeURIComponent(deployment.name)
  const version = String(deployment.revision)
  const tensors = (specs: { name: string; datatype: string; shape: (string | number | null)[] }[] = []) =>
    specs.map((spec) => ({ ...spec, shape: spec.shape.map((size) => (typeof size === 'number' ? size : -1)) }))
  const metadata = {
    name: deployment.name,
    versions: [version],
    platform: platforms[servingOf(model).image],
    inputs: tensors(model.inspection?.inputs),
    outputs: tensors(model.inspection?.outputs),
  }
  const known: Record<string, object> = {
    '/v2': { name: 'sagemaker', version: '1', extensions: servingOf(model).image === 'triton' ? ['binary_tensor_data'] : [] },
    '/v2/health/live': { live: true },
    '/v2/health/ready': { ready: true },
    [`/v2/models/${encoded}`]: metadata,
    [`/v2/models/${encoded}/versions/${version}`]: metadata,
    [`/v2/models/${encoded}/ready`]: { name: deployment.name, ready: true },
  }
  const body = known[path.replace(/\/$/, '')]
  if (body === undefined)
    throw new PlatformError('not_found', `${path || '/'} is not served by GET; wanted /v2, …/health/ready or …/models/${encoded}`)
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(body)),
    usage: usageOf(0),
  }
}
