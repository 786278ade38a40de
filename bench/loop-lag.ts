/**
 * Preloaded into the host by `bench/platform.ts`, never by the product: measures how late the host's own event loop comes. At SIGUSR2
 * it prints `loop lag p50 … ms, p99 … ms, max … ms` since the last time and begins anew.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const resolution_ms = 1

if (process.argv[1]?.endsWith('local.ts')) {
  const delay = monitorEventLoopDelay({ resolution: resolution_ms })
  delay.enable()
  // The monitor's timer is 1 ms itself; what exceeds it is lag.
  const lag = (ns: number): string => Math.max(0, ns / 1e6 - resolution_ms).toFixed(2)
  process.on('SIGUSR2', () => {
    process.stderr.write(
      `loop lag p50 ${lag(delay.percentile(50))} ms, p99 ${lag(delay.percentile(99))} ms, max ${lag(delay.max)} ms\n`,
    )
    delay.reset()
  })
}
