import { app } from '#app'
import { accrueStandingCosts } from '../../layers/core/usecases/accrue-standing-costs.ts'

export const run = () => accrueStandingCosts(app)
