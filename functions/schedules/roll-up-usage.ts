import { app } from '#app'
import { rollUpUsage } from '../../layers/core/usecases/roll-up-usage.ts'

export const run = () => rollUpUsage(app)
