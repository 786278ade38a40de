import { PlatformError } from '../contract/errors.ts'
import type { SuppliedRows } from '../contract/routes/models.ts'
import type { App } from '../ports/app.ts'
import { findDataset } from './dataset-records.ts'
import { optimizationArtifact } from './optimization-records.ts'
import { findRecordedRequests } from './recorded-requests.ts'

const PREFIX = /^data:[^,]*;base64,/
/** Which member of the request, also the name of its file. */
export type RowsMember = 'calibration_data' | 'evaluation_data'

/** What files of rows begin with. What follows is read where it is used, in a process of its own. */
const forms: Record<string, (head: Buffer) => boolean> = {
  npz: (head) => head.readUInt32BE(0) === 0x504b0304,
  npy: (head) => head.readUInt32BE(0) === 0x934e554d,
  gz: (head) => head.readUInt16BE(0) === 0x1f8b,
  // Two zero bytes, the type of the numbers, how many dimensions (yann.lecun.com/exdb/mnist).
  idx: (head) => head.readUInt16BE(0) === 0 && [8, 9, 11, 12, 13, 14].includes(head[2] ?? 0) && (head[3] ?? 0) > 0,
  jsonl: (head) => /^\uFEFF?\s*\{/.test(head.toString('utf8')),
}

/**
 * The artifact with the rows that a request supplies. Those inside it and recorded requests are stored as the optimisation's own; a
 * dataset is named where it lies, for one that is deleted meanwhile keeps its bytes for a day. Fails with `invalid_request` on a text that
 * is no `data:…;base64,…` of a known form, with `not_found`, and with `conflict` where a deployment keeps no requests.
 */
export const suppliedRows = async (
  app: Pick<App, 'records' | 'artifacts'>,
  { organization_id, id }: { organization_id: string; id: string },
  member: RowsMember,
  data: SuppliedRows | null | undefined,
): Promise<string | null> => {
  if (data === null || data === undefined) return null
  const stem = member.replace('_data', '')
  const own = (name: string): string => optimizationArtifact(organization_id, id, name)
  if (typeof data !== 'string') {
    const { storage_path } =
      'dataset_id' in data
        ? await findDataset(app, organization_id, data.dataset_id)
        : await findRecordedRequests(app, organization_id, data.deployment_id, (file_name) => own(`${stem}-${file_name}`))
    return storage_path
  }
  const prefix = PREFIX.exec(data)?.[0]
  const bytes = prefix === undefined ? undefined : Buffer.from(data.slice(prefix.length), 'base64')
  const form = bytes && bytes.length >= 4 && Object.keys(forms).find((each) => forms[each]?.(bytes.subarray(0, 64)))
  if (!bytes || !form)
    throw unusable(
      member,
      'wanted "data:application/octet-stream;base64,…" of an .npz, .npy, idx, zip or JSON lines file, {"dataset_id": "dts_…"} or {"deployment_id": "dep_…"}',
    )
  const key = own(`${stem}.${form}`)
  await app.artifacts.put(key, once(bytes), { size_bytes: bytes.length })
  return key
}

const unusable = (member: RowsMember, detail: string): PlatformError =>
  new PlatformError('invalid_request', `${member} is not usable: ${detail}`, { errors: [{ pointer: `/${member}`, detail }] })

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
