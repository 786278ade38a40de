import * as z from 'zod'
import type { JsonObject } from './json.ts'

/**
 * What a deployer remembers of what it provisioned, as far as it has a price. Deployers on AWS put these members into `deployer_state`;
 * one without any of them keeps nothing that is charged by the hour.
 */
export const Footprint = z.object({
  architecture: z.enum(['arm64', 'x86_64']).optional(),
  /** Memory as billed, MB of 2^20 bytes, per instance. */
  memory_mb: z.number().positive().optional(),
  /** Ephemeral disk per instance, MB; the first 512 are free. */
  ephemeral_mb: z.number().nonnegative().optional(),
  /** Instances kept ready (provisioned concurrency). */
  provisioned: z.number().int().nonnegative().optional(),
  endpoint_mode: z.enum(['serverless', 'real_time', 'async']).optional(),
  instance_type: z.string().optional(),
  instance_count: z.number().nonnegative().optional(),
})
export type Footprint = z.infer<typeof Footprint>

const known = new WeakMap<JsonObject, Footprint | undefined>()
/** Equal footprints are one object, so that meters may compare them by identity. */
const interned = new Map<string, Footprint>()
const mostInterned = 1000

/** The footprint in a deployer's state; undefined where it names none, or in a form nobody knows. Parsed once per state object. */
export const footprintOf = (deployer_state: JsonObject): Footprint | undefined => {
  if (known.has(deployer_state)) return known.get(deployer_state)
  const parsed = Footprint.safeParse(deployer_state)
  const found = parsed.success && Object.keys(parsed.data).length > 0 ? intern(parsed.data) : undefined
  known.set(deployer_state, found)
  return found
}

const intern = (footprint: Footprint): Footprint => {
  const text = JSON.stringify(footprint)
  const same = interned.get(text)
  if (same) return same
  if (interned.size >= mostInterned) interned.clear()
  interned.set(text, footprint)
  return footprint
}
