import * as z from 'zod'

/** Whether and how many of its requests a deployment keeps as a sample; nothing is ever kept unless it says so. */
export const RecordRequests = z.strictObject({
  rows: z.number().int().min(1).max(1024).describe('Inputs kept, drawn evenly from all that came; outputs never are'),
  rate: z.number().gt(0).max(1).optional().describe('Share of the requests that are looked at; all of them when absent'),
})
export type RecordRequests = z.infer<typeof RecordRequests>

/** What one model process is told: with their copies on the way out, the inputs it keeps stay below a quarter of its memory. */
export const recordingWithin = (asked: RecordRequests | null | undefined, memory_bytes: number) =>
  asked ? { ...asked, max_bytes: Math.min(64 * 2 ** 20, Math.floor(memory_bytes / 16)) } : undefined

/** Where the samples of a deployment's model processes lie, one file each. */
export const recordedPrefix = ({ organization_id, id }: { organization_id: string; id: string }): string =>
  `samples/${organization_id}/${id}/`

/** One input of one request: numbers as little-endian bytes in row-major order, `BYTES` as the JSON text of a list. */
export interface RecordedTensor {
  name: string
  /** Open Inference Protocol datatype. */
  datatype: string
  shape: number[]
  data: Uint8Array
}

/** What one model process kept of the rows it saw. */
export interface RecordedRows {
  seen: number
  rows: RecordedTensor[][]
}

/** First line of the file a model process leaves; the data follow in the same order. */
const Header = z.object({
  seen: z.number().int().min(0),
  rows: z
    .array(
      z
        .array(
          z.object({
            name: z.string(),
            datatype: z.string(),
            shape: z.array(z.number().int().min(0)),
            bytes: z.number().int().min(0),
          }),
        )
        .min(1),
    )
    .max(1024),
})
const NEWLINE = 10

/** How many rows the process saw and kept, by the first line of its file; undefined when it is none. */
export const readRecordedHead = (line: Uint8Array): { seen: number; rows: number } | undefined => {
  const header = Header.safeParse(parsed(new TextDecoder().decode(line)))
  return header.success ? { seen: header.data.seen, rows: header.data.rows.length } : undefined
}

/** Reads that file; undefined when it is none, or cut short. */
export const readRecordedRows = (file: Uint8Array): RecordedRows | undefined => {
  const end = file.indexOf(NEWLINE)
  if (end < 0) return undefined
  const header = Header.safeParse(parsed(new TextDecoder().decode(file.subarray(0, end))))
  if (!header.success) return undefined
  let at = end + 1
  const rows = header.data.rows.map((tensors) =>
    tensors.map(({ bytes, ...tensor }) => {
      const data = file.subarray(at, at + bytes)
      at += bytes
      return { ...tensor, data }
    }),
  )
  return at === file.length ? { seen: header.data.seen, rows } : undefined
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * How many of at most `most` rows each of several samples gives: as its share of all rows seen. Every sample is itself even, so its first
 * rows are too; one that has fewer than its share leaves the rest to the others.
 */
export const rowShares = (samples: readonly { seen: number; rows: number }[], most: number): number[] => {
  const total = samples.reduce((sum, { seen }) => sum + seen, 0)
  const shares = samples.map(({ seen, rows }) => Math.min(rows, Math.floor((most * seen) / Math.max(1, total))))
  for (const [at, { rows }] of samples.entries()) {
    const left = most - shares.reduce((sum, share) => sum + share, 0)
    shares[at] = Math.min(rows, (shares[at] ?? 0) + left)
  }
  return shares
}
