import { randomBytes } from 'node:crypto'
import { recordedPrefix } from '../../layers/core/domain/recorded-rows.ts'
import { environment } from './environment.ts'
import { log } from './log.ts'
import { sampleRequests } from './model.ts'
import { putObject } from './parts.ts'

/**
 * A deployment that keeps a sample of its requests has each of its functions write one object: after its first request, then at most once a
 * minute, and with SIGTERM, which Lambda sends where an extension is registered. Where it keeps none, none is asked for.
 */
const apart_ms = 60_000

const writer = `${Date.now().toString(36).padStart(9, '0')}-${randomBytes(4).toString('hex')}`
const name = { organization_id: environment.AIDEPLOY_ORGANIZATION, id: environment.AIDEPLOY_DEPLOYMENT }
let written_ms = -Infinity

/** Never fails: a sample that could not be written is written with the next. */
export const keepRequests = async (): Promise<void> => {
  if (environment.AIDEPLOY_RECORD_REQUESTS === undefined) return
  written_ms = performance.now()
  try {
    const pieces = await sampleRequests()
    if (pieces) await putObject(`${recordedPrefix(name)}${writer}.rows`, Buffer.concat(pieces))
  } catch (error) {
    log.warn('requests_not_recorded', { error: String(error) })
  }
}

export const keepDueRequests = async (): Promise<void> => {
  if (performance.now() - written_ms >= apart_ms) await keepRequests()
}
