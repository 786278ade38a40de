import type { Log } from '../../layers/core/ports/log.ts'

const line = (level: string, event: string, fields: Record<string, unknown> = {}): void =>
  void process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`)

/** One JSON line per call, at once: after its answer a function may be frozen for good. */
export const log: Log = {
  info: (event, fields) => line('info', event, fields),
  warn: (event, fields) => line('warn', event, fields),
  error: (event, fields) => line('error', event, fields),
}
