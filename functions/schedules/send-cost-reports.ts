import { app } from '#app'
import { sendCostReports } from '../../layers/core/usecases/send-cost-reports.ts'

export const run = () => sendCostReports(app)
