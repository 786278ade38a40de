import { PlatformError } from '../../layers/core/contract/errors.ts'

/**
 * Imported before everything else: a start that fails for a known reason says so in one line instead of a stack, and ends with 1.
 * Once the host runs, a rejection nobody handled is a fault to be reported, not a reason to take every deployment down.
 */

let report: ((detail: string) => void) | undefined

/** From now on rejections nobody handled are reported here and the host goes on. */
export const goOnAfterRejections = (reported: (detail: string) => void): void => {
  report = reported
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

process.on('uncaughtException', (error: unknown, origin) => {
  if (report && origin === 'unhandledRejection') return report(stackOf(error))
  process.stderr.write(`${error instanceof PlatformError ? `aideploy: ${error.message}` : stackOf(error)}\n`)
  process.exit(1)
})
