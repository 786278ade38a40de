import type { Log } from '../core/ports/log.ts'

const write_every_ms = 20
const write_at_bytes = 16_384

/** One JSON line per call. Lines are gathered for up to 20 ms, because one write a request costs more than the request's own work. */
export const jsonLog = (out: { write(text: string): unknown } = process.stdout): Log & { flush(): void } => {
  let pending = ''
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (pending !== '') out.write(pending)
    pending = ''
  }
  const line = (level: string, event: string, fields: Record<string, unknown> = {}): void => {
    pending += `${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`
    if (pending.length >= write_at_bytes) flush()
    else timer ??= setTimeout(flush, write_every_ms).unref()
  }
  return {
    info: (event, fields) => line('info', event, fields),
    warn: (event, fields) => line('warn', event, fields),
    error: (event, fields) => line('error', event, fields),
    flush,
  }
}
