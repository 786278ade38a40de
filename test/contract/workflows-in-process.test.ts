import { pipelines } from '../../layers/core/contract/pipelines.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { inProcessWorkflows } from '../../layers/workflows/in-process.ts'
import { workflowsContract } from './workflows.ts'

workflowsContract('in process', async (steps) => {
  const now = () => new Date()
  const records = sqliteRecords({ path: ':memory:', now })
  const log = { info() {}, warn() {}, error() {} }
  const workflows = inProcessWorkflows({ records, pipelines, steps, log, now, backoff_ms: 1 })
  await workflows.resume()
  const close = async () => {
    await workflows.stop()
    records.close()
  }
  return { workflows, close }
})
