import { app } from '#app'
import type { Step } from '../../layers/core/ports/workflows.ts'
import { deployRevision } from '../../layers/core/usecases/deploy-revision.ts'
import { ProvisionInput } from '../../layers/core/usecases/provision-input.ts'

export const run: Step = (state) => deployRevision(app, ProvisionInput.parse(state))
