import * as z from 'zod'
import { isPlatformError, PlatformError } from '../contract/errors.ts'
import { type RecordedTensor, readRecordedHead, readRecordedRows, recordedPrefix, rowShares } from '../domain/recorded-rows.ts'
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
  const { file_name, bytes, rows } = writeRows(await sampledRows(app, name, record_requests.rows))
  if (rows === 0)
    throw new PlatformError('conflict', `Deployment ${deployment_id} has kept no request yet; they are written once a minute`, {
      retry_after_s: 60,
    })
  const storage_path = into(file_name)
  await app.artifacts.put(storage_path, once(bytes), { size_bytes: bytes.length })
  return { storage_path, rows }
}

/** Bytes of all rows together: they are in memory here, as one process's sample may be. */
const MOST_BYTES = 64 * 2 ** 20

/**
 * At most `most` rows of all processes, newest first: of several writers with as many rows, the newer one's count. First lines say how many
 * each gives; one file at a time is then in memory.
 */
const sampledRows = async ({ artifacts }: Store, name: DeploymentName, most: number): Promise<RecordedTensor[][]> => {
  const keys = (await artifacts.list(recordedPrefix(name))).toSorted().reverse().slice(0, MOST_WRITERS)
  const heads: { key: string; seen: number; rows: number }[] = []
  for (const key of keys) {
    const head = readRecordedHead(await stored(artifacts, key, { first_line: true }))
    if (head) heads.push({ key, ...head })
  }
  const shares = rowShares(heads, most)
  const rows: RecordedTensor[][] = []
  let left = MOST_BYTES
  for (const [at, { key }] of heads.entries()) {
    const sample = shares[at] ? readRecordedRows(await stored(artifacts, key)) : undefined
    for (const row of sample?.rows.slice(0, shares[at]) ?? []) {
      left -= row.reduce((sum, { data }) => sum + data.length, 0)
      if (left < 0) return rows
      rows.push(row.map(({ data, ...tensor }) => ({ ...tensor, data: Uint8Array.from(data) })))
    }
  }
  return rows
}

const NEWLINE = 10

/** Bytes of an artifact; none where it went meanwhile, as old ones of many processes do. */
const stored = async (artifacts: Store['artifacts'], key: string, { first_line = false } = {}): Promise<Uint8Array> => {
  const pieces: Uint8Array[] = []
  try {
    for await (const piece of await artifacts.read(key)) {
      const end = first_line ? piece.indexOf(NEWLINE) : -1
      pieces.push(end < 0 ? piece : piece.subarray(0, end))
      if (end >= 0) break
    }
  } catch (error) {
    if (!isPlatformError(error, 'not_found')) throw error
    return new Uint8Array()
  }
  return Buffer.concat(pieces)
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
