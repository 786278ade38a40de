import type * as z from 'zod'
import type { JsonObject } from '../domain/json.ts'
import type { PendingUpload } from '../domain/upload.ts'
import type { App } from '../ports/app.ts'
import type { ArtifactInfo } from '../ports/artifacts.ts'
import type { Key, Operation } from '../ports/records.ts'

export type UploadParts = Pick<App, 'records' | 'artifacts' | 'inspector' | 'config' | 'now' | 'newId' | 'log'>

/** What an upload becomes: the same streaming, joining, sweeping and admitting for every kind of file that tenants own. */
export interface UploadPurpose<
  Described extends JsonObject,
  Document extends { status: string; upload_id?: string | undefined },
> {
  name: PendingUpload['purpose']
  /** In messages. */
  noun: string
  id_prefix: string
  /** What a file without a usable name is called. */
  unnamed: string
  artifact(organization_id: string, id: string, file_name: string): string
  key(organization_id: string, id: string): Key
  /** Takes what was announced or sent as fields; further members are left out. */
  described: z.ZodType<Described>
  document: z.ZodType<Document>
  /** Makes the document, after looking into the stored file. Fails with `invalid_model` or `invalid_request` when it is not what it says. */
  make(app: UploadParts, upload: PendingUpload, described: Described, info: ArtifactInfo): Promise<Document>
  put(document: Document): Operation
}
