import './local/explain-failure.ts'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { app, host, settings } from '../layers/compose/embedded.ts'
import { PlatformError } from '../layers/core/contract/errors.ts'
import { routeRows } from '../layers/core/contract/routes.ts'
import { ensureFirstAdmin } from '../layers/core/usecases/ensure-first-admin.ts'
import { failDeployment } from '../layers/core/usecases/fail-deployment.ts'
import { pumpChanges } from '../layers/core/usecases/pump-changes.ts'
import { repairInFlight } from '../layers/core/usecases/repair-in-flight.ts'
import { sweepUploads } from '../layers/core/usecases/sweep-uploads.ts'
import { goOnAfterRejections } from './local/explain-failure.ts'
import { loadHandlers, loadSchedules, loadSteps, loadSubscribers } from './local/load.ts'
import { hostServer } from './local/server.ts'
import { startTimers } from './local/timers.ts'

/** The embedded host: `npm start`. */

// Else every 64 MB of request bodies bring on a full collection of the heap: with bodies of 111 kB that was half of the host's CPU time.
setFlagsFromString('--external-memory-accounted-in-global-limit')

const drain_ms = 10_000

for (const [name, step] of await loadSteps()) host.steps.set(name, step)
const opened = Promise.withResolvers<void>()
const server = hostServer(app, routeRows, await loadHandlers(), opened.promise)
const schedules = await loadSchedules()

// Before the first admin is made: a password that is shown once must not be lost to a port that is taken.
await listen()
await sweepUploads(app, { host_restarted: true })
const admin = await ensureFirstAdmin(app, settings.AIDEPLOY_ADMIN_PASSWORD)
if (admin.generated_password)
  process.stdout.write(`first start: user admin, password ${admin.generated_password} (shown once; only its hash is kept)\n`)
host.onDeploymentFailed = (deployment_id, reason) => {
  failDeployment(app, deployment_id, reason).catch((error: unknown) =>
    app.log.error('failure not recorded', { deployment_id, detail: String(error) }),
  )
}

const pump = pumpChanges({ records: app.records, changes: host.records.changes, events: app.events, log: app.log })
for (const [id, run] of await loadSubscribers()) app.events.subscribe(id, run)
host.events.start()
await host.meter.recover()
await repairInFlight(app, { host_restarted: true })
await host.workflows.resume()
const timers = startTimers(schedules, app.log)
// Parts whose upload never got its record (the host died between the two) are known to the disk alone.
const sweeper = setInterval(
  () => host.artifacts.sweepUploads().catch((error: unknown) => app.log.warn('parts not swept', { detail: String(error) })),
  3_600_000,
)

opened.resolve()
goOnAfterRejections((detail) => app.log.error('unhandled rejection', { detail }))
process.stdout.write(`ready ${host.config.public_url}\n${signInHint()}\n`)

/** Stops taking work, lets what runs finish for a while, puts everything on disk. A second signal stops at once. */
const stop = async (signal: string): Promise<void> => {
  app.log.info('stopping', { signal })
  process.once(signal, () => process.exit(1))
  const closed = once(server, 'close')
  server.close()
  // A connection whose last answer has gone out stays open until its client or this closes it.
  const idle = setInterval(() => server.closeIdleConnections(), 100)
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, drain_ms).unref())])
  clearInterval(idle)
  server.closeAllConnections()
  clearInterval(sweeper)
  await timers.stop()
  await host.workflows.stop()
  await pump.stop()
  await host.events.stop()
  await app.meter.flush()
  await host.processes.stop()
  host.records.close()
  host.log.flush()
}

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => {
    stop(signal).then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
        process.exit(1)
      },
    )
  })

function signInHint(): string {
  const call = `curl -s ${host.config.public_url}/auth/token -H 'content-type: application/json' -d '{"username":"admin","password":"…"}'`
  if (!admin.created && settings.AIDEPLOY_ADMIN_PASSWORD)
    return `AIDEPLOY_ADMIN_PASSWORD seeds the first start only and is not used now\nsign in: ${call}`
  return `sign in: ${call}`
}

async function listen(): Promise<void> {
  server.listen(settings.PORT, settings.HOST)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw listenError(error)
  })
  const { port } = server.address() as AddressInfo
  const name = settings.HOST.includes(':') ? `[${settings.HOST}]` : settings.HOST
  if (settings.AIDEPLOY_PUBLIC_URL === undefined) host.config.public_url = `http://${name}:${port}`
}

function listenError(error: NodeJS.ErrnoException): PlatformError {
  const wanted = `${settings.HOST}:${settings.PORT}`
  return new PlatformError(
    'unavailable',
    error.code === 'EADDRINUSE'
      ? `${wanted} is taken by another process; set PORT to a free one`
      : `Cannot listen on ${wanted}: ${error.message}`,
    { cause: error },
  )
}
