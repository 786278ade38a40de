import { app } from '#app'
import { archiveUnusedModels } from '../../layers/core/usecases/archive-unused-models.ts'

export const run = () => archiveUnusedModels(app)
