import type * as z from 'zod'
import { JsonObject } from '../domain/json.ts'

/** A stored document has 350 kB; what the platform itself notes beside the caller's metadata must always fit as well. */
const longest_bytes = 131_072

/** What a caller says of a document: any JSON object of at most 128 KiB as JSON text. */
export const Metadata: z.ZodType<JsonObject, JsonObject> = JsonObject.refine(
  (metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= longest_bytes,
  `wanted at most ${longest_bytes} bytes as JSON`,
).describe('Anything the caller wants to keep with it, at most 128 KiB as JSON; answered as it was sent')
