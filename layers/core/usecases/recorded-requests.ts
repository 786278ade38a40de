import * as z from 'zod'
import { PlatformError } from '../contract/errors.ts'
import { mergedRows, type RecordedRows, readRecordedRows, recordedPrefix } from '../domain/recorded-rows.ts'
import type { App } from '../ports/app.ts'
import type { Operation } from '../ports/records.ts'
import { type DeploymentName, readAnyDeployment, readDeployment } from './deployment-records.ts'
import { everyStored } from './every-stored.ts'
import { organizationKey } from './record-keys.ts'
import { writeRows } from './write-rows.ts'

/** Deployments that keep requests, and those that did and may have left some. */
const RECORDING = 'deployments#recording'
const Named = z.object({ organization_id: z.string(), id: z.string() })

/** The operation that notes, with a revision that keeps requests, that something will have to be removed. */
export const noteRecording = ({ organization_id, id }: DeploymentName): Operation => ({
  put: {
    ...organizationKey(organization_id, 'recording', id),
    body: { organization_id, id },
    worklist: { pk: RECORDING, sk: `recording#${id}` },
  },
  expect: 'any',
})

type Store = Pick<App, 'records' | 'artifacts'>

/** Model processes come and go: of what those that are gone left, the newest stay. */
const MOST_WRITERS = 32

/**
 * Stores what one model process kept, in the place of what it kept before; `writer` sorts by the time the process began. Does nothing for a
 * deployment that keeps none, or none any more.
 */
export const keepRecordedRequests = async (app: Store, name: DeploymentName, writer: string, rows: Uint8Array): Promise<void> => {
  const deployment = await readAnyDeployment(app, name)
  if (!deployment?.record_requests || deployment.status === 'deleted') return
  await app.artifacts.put(`${recordedPrefix(name)}${writer}.rows`, once(rows), { size_bytes: rows.length })
  await keepNewest(app, name)
}

const keepNewest = async (app: Pick<App, 'artifacts'>, name: DeploymentName): Promise<void> => {
  const writers = (await app.artifacts.list(recordedPrefix(name))).toSorted()
  for (const key of writers.slice(0, Math.max(0, writers.length - MOST_WRITERS))) await app.artifacts.remove(key)
}

/** Removes all that was kept of a deployment's requests, as far as it can: what it leaves, the sweep finds. */
export const forgetRecordedRequests = async (
  { artifacts, log }: Partial<Pick<App, 'artifacts'>> & Pick<App, 'log'>,
  name: DeploymentName,
): Promise<void> => {
  try {
    if (artifacts) await removeAll(artifacts, name)
  } catch (error) {
    log.warn('recorded_requests_left_for_sweep', { deployment_id: name.id, error: String(error) })
  }
}

const removeAll = async (artifacts: App['artifacts'], name: DeploymentName): Promise<void> => {
  for (const key of await artifacts.list(recordedPrefix(name))) await artifacts.remove(key)
}

/**
 * The sample of a deployment's requests as one file of rows, written to `key` (`into` gives it its name's ending). Fails with `not_found`,
 * `conflict` where the deployment keeps none or has kept none yet.
 */
export const findRecordedRequests = async (
  app: Store,
  organization_id: string,
  deployment_id: string,
  into: (file_name: string) => string,
): Promise<{ storage_path: string; rows: number }> => {
  const name = { organization_id, id: deployment_id }
  const { record_requests } = await readDeployment(app, name)
  if (!record_requests)
    throw new PlatformError(
      'conflict',
      `Deployment ${deployment_id} keeps none of its requests; wanted one with record_requests, e.g. {"rows": 256}`,
    )
  const rows = mergedRows(await samplesOf(app, name), record_requests.rows)
  if (rows.length === 0)
    throw new PlatformError('conflict', `Deployment ${deployment_id} has kept no request yet; they are written once a minute`, {
      retry_after_s: 60,
    })
  const { file_name, bytes } = writeRows(rows)
  const storage_path = into(file_name)
  await app.artifacts.put(storage_path, once(bytes), { size_bytes: bytes.length })
  return { storage_path, rows: rows.length }
}

/** Newest first: of several writers with as many rows, the newer one's count. */
const samplesOf = async (app: Store, name: DeploymentName): Promise<RecordedRows[]> => {
  const keys = (await app.artifacts.list(recordedPrefix(name))).toSorted().reverse().slice(0, MOST_WRITERS)
  const samples: RecordedRows[] = []
  for (const key of keys) {
    const file = Buffer.concat(await (await app.artifacts.read(key)).toArray())
    const sample = readRecordedRows(file)
    if (sample) samples.push(sample)
  }
  return samples
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/**
 * Removes what is left of deployments that keep nothing any more: a function that was already stopping may have written once more, a crash
 * may have come between. Answers of how many.
 */
export const sweepRecordedRequests = async (app: Store): Promise<number> => {
  let removed = 0
  for await (const { pk, sk, body } of everyStored(app.records, { index: 'worklist', pk: RECORDING })) {
    const name = Named.parse(body)
    const deployment = await readAnyDeployment(app, name)
    if (deployment?.record_requests && deployment.status !== 'deleted') {
      await keepNewest(app, name)
      continue
    }
    // While a change is under way the next revision may begin to keep some.
    if (deployment && deployment.status !== 'deleted' && deployment.transition !== null) continue
    await removeAll(app.artifacts, name)
    await app.records.write([{ remove: { pk, sk }, expect: 'any' }])
    removed += 1
  }
  return removed
}
