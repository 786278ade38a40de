import { app } from '#app'
import { sweepModels } from '../../layers/core/usecases/sweep-models.ts'
import { sweepUploads } from '../../layers/core/usecases/sweep-uploads.ts'

export const run = async () => ({ uploads: await sweepUploads(app), models: await sweepModels(app) })
