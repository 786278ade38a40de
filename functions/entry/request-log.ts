import { asPlatformError, errorChain } from '../../layers/core/contract/errors.ts'
import type { Log } from '../../layers/core/ports/log.ts'

export interface RequestFacts {
  request_id: string
  route: string
  status: number
  ms: number
  organization_id: string | undefined
  error?: unknown
}

/** One line per request: facts only, never a body, a header or a secret. A failure of ours also carries its cause chain. */
export const logRequest = (log: Log, { error, ms, ...facts }: RequestFacts): void => {
  const line = { ...facts, ms: Math.round(ms * 100) / 100 }
  const known = error === undefined || error === null ? undefined : asPlatformError(error)
  if (known === undefined || known.status < 500) log.info('request', known ? { ...line, code: known.code } : line)
  else log.error('request', { ...line, code: known.code, detail: known.message, cause: errorChain(known.cause) })
}
