import { app } from '#app'
import { sweepRecordedRequests } from '../../layers/core/usecases/recorded-requests.ts'
import { sweepDatasets } from '../../layers/core/usecases/sweep-datasets.ts'
import { sweepModels } from '../../layers/core/usecases/sweep-models.ts'
import { sweepUploads } from '../../layers/core/usecases/sweep-uploads.ts'

export const run = async () => ({
  uploads: await sweepUploads(app),
  models: await sweepModels(app),
  datasets: await sweepDatasets(app),
  recorded_requests: await sweepRecordedRequests(app),
})
