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
  // Lines of one millisecond share the text of their time, which costs as much as the rest of a short line.
  let time_ms = 0
  let time = ''
  const timeText = (): string => {
    const now_ms = Date.now()
    if (now_ms !== time_ms) time = new Date(now_ms).toISOString()
    time_ms = now_ms
    return time
  }
  const line = (level: string, event: string, fields: Record<string, unknown> = {}): void => {
    pending += `${JSON.stringify({ time: timeText(), level, event, ...fields })}\n`
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
