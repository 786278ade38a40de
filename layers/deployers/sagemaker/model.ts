import { CreateModelCommand, DeleteModelCommand, DescribeModelCommand } from '@aws-sdk/client-sagemaker'
import { awsFailure } from '../../aws/failure.ts'
import { cpuCores } from '../../core/domain/memory-size.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { imageUri } from './images.ts'
import { ensureArchive, servingOf } from './model-archive.ts'
import { modelName, tagList } from './names.ts'
import type { SagemakerParts } from './parts.ts'
import { isThere, isTooEarly, orAbsent, patiently } from './patience.ts'
import type { Plan } from './plan.ts'

/** The SageMaker model of a revision: its archive and the image that serves it. Answers its name. */
export const ensureModel = async (parts: SagemakerParts, target: DeployTarget, plan: Plan, role_arn: string): Promise<string> => {
  const sagemaker = parts.clients.sagemaker()
  const { deployment, model } = target
  const threads = Math.max(1, Math.floor(cpuCores(deployment.resource_requirements.cpu)))
  const { image, environment } = servingOf(model)
  const container = {
    Image: imageUri(image, { region: parts.region, gpu: plan.gpu }, parts.images),
    ModelDataUrl: `s3://${parts.bucket}/${await ensureArchive(parts, target, { gpu: plan.gpu, threads })}`,
    Environment: environment,
  }
  const ModelName = modelName(parts.stage, deployment.id, deployment.revision)
  const doing = `Making model ${ModelName}`
  const present = await orAbsent(sagemaker.send(new DescribeModelCommand({ ModelName })), doing)
  const same =
    present?.PrimaryContainer?.Image === container.Image && present.PrimaryContainer.ModelDataUrl === container.ModelDataUrl
  if (same) return ModelName
  if (present !== undefined) await orAbsent(sagemaker.send(new DeleteModelCommand({ ModelName })), doing)
  try {
    const wanted = { ModelName, ExecutionRoleArn: role_arn, PrimaryContainer: container, Tags: tagList(parts.stage, deployment) }
    await patiently(parts, doing, isTooEarly, () => sagemaker.send(new CreateModelCommand(wanted)))
  } catch (error) {
    if (isThere(error)) return ModelName
    const said = error instanceof Error ? error.message.slice(0, 300) : ''
    throw awsFailure(error, doing, { ValidationException: ['unavailable', `${doing}: SageMaker refuses it (${said})`] })
  }
  return ModelName
}
