import { app } from '#app'
import { repairInFlight } from '../../layers/core/usecases/repair-in-flight.ts'
import { repairOptimizations } from '../../layers/core/usecases/repair-optimizations.ts'
import { sweepModels } from '../../layers/core/usecases/sweep-models.ts'
import { sweepUploads } from '../../layers/core/usecases/sweep-uploads.ts'

export const run = async () => ({
  ...(await repairInFlight(app)),
  optimizations_repaired: await repairOptimizations(app),
  uploads_swept: await sweepUploads(app),
  models_swept: await sweepModels(app),
})
