import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { deployRevision } from '../../layers/core/usecases/deploy-revision.ts'
import { ProvisionInput } from '../../layers/core/usecases/provision-input.ts'
import { readyModelFiles } from '../../layers/core/usecases/ready-model-files.ts'

export const run: Step = async (state) => {
  const input = ProvisionInput.parse(state)
  await readyModelFiles(app, input)
  return deployRevision(app, input)
}
