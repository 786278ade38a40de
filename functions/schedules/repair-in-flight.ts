import { app } from '#app'
import { repairInFlight } from '../../layers/core/usecases/repair-in-flight.ts'
import { repairOptimizations } from '../../layers/core/usecases/repair-optimizations.ts'

export const run = async () => ({
  ...(await repairInFlight(app)),
  optimizations_repaired: await repairOptimizations(app),
})
