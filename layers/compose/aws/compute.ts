import { clientSettings } from '../../aws/client-settings.ts'
import type { ModelInspector } from '../../core/ports/model-inspector.ts'
import type { Workbench } from '../../core/ports/workbench.ts'
import { lazyPort } from '../lazy-port.ts'
import { environment, wanted } from './environment.ts'
import { artifacts } from './stores.ts'

/** Where models are read and optimised. */

export const inspector: ModelInspector = lazyPort(async () => {
  const { onnxInspector } = await import('../../inspector/onnx.ts')
  return onnxInspector()
}, ['inspect', 'describeDataset'])

const local = async (): Promise<Workbench> => {
  const [{ localWorkbench }, { optimizers }] = await Promise.all([
    import('../../optimizers/workbench.ts'),
    import('../../optimizers/index.ts'),
  ])
  return localWorkbench({ artifacts, optimizers, scratch_dir: '/tmp' })
}

/** Larger models take a machine of their own: a step has 10 GB of disk and memory for both forms of a model at once. */
const larger_than_bytes = 1_000_000_000
const large_machine = 'ml.m5.2xlarge'

type Complete = Workbench & Required<Pick<Workbench, 'abandon'>>
const complete = (made: Workbench): Complete => ({ ...made, abandon: made.abandon ?? (async () => undefined) })

/** In the step itself; large models and long training in jobs, where the build made their program. */
export const workbench: Workbench = lazyPort<Complete>(async () => {
  const key = environment.AIDEPLOY_PROCESSING_KEY
  if (key === undefined) return complete(await local())
  const [{ processingWorkbench }, { imageUri }, { SageMakerClient }] = await Promise.all([
    import('../../processing/workbench.ts'),
    import('../../deployers/sagemaker/images.ts'),
    import('@aws-sdk/client-sagemaker'),
  ])
  const made = processingWorkbench({
    local: await local(),
    client: () => new SageMakerClient(clientSettings),
    artifacts,
    bucket: environment.AIDEPLOY_BUCKET,
    stage: environment.AIDEPLOY_STAGE,
    role_arn: wanted('AIDEPLOY_PROCESSING_ROLE_ARN', 'workbench'),
    runtime: { bucket: wanted('AIDEPLOY_PROCESSING_BUCKET', 'workbench'), key },
    image: imageUri('processing', { region: environment.AWS_REGION, gpu: false }),
    instance_type: large_machine,
    larger_than_bytes,
    spot: environment.AIDEPLOY_TRAINING_SPOT === 'true',
  })
  return complete(made)
}, ['build', 'measure', 'abandon'])
