import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { JsonObject } from '../../../layers/core/domain/json.ts'
import { Task } from '../../../layers/core/domain/task.ts'

export const peerTools = [
  'dynamic',
  'dynamic per channel',
  'dynamic per channel 7 bit',
  'static minmax',
  'static minmax u8 7 bit',
  'static percentile u8 7 bit',
  '4 bit, blocks of 128',
  '4 bit, blocks of 32',
] as const
export type PeerTool = (typeof peerTools)[number]

/** Static quantization is for nets of convolutions and products alike; four bits are for products only. */
export const convolutionTools = peerTools.filter((tool) => !tool.startsWith('4 bit'))

/** A model with its data, as files: what every tool of the comparison gets. */
const Subject = z.object({
  name: z.string(),
  title: z.string(),
  model_path: z.string(),
  /** Rows to fit with: our compiler and the peers' calibration read the same. */
  calibration_path: z.string(),
  /** Other rows to judge by, with labels where there is a task. */
  evaluation_path: z.string(),
  task: Task.optional(),
  metadata: JsonObject.optional(),
  target_size_bytes: z.number().optional(),
  /** Wanted p50: the original's, as measured first, divided by this. */
  target_speed_up: z.number().optional(),
  /** Of our search. */
  budget_s: z.number(),
  /** Tools of the peers that make sense for it. */
  peers: z.array(z.enum(peerTools)).readonly(),
  /** Rows that the peers calibrate with; they keep every activation of every row in memory. */
  peer_rows: z.number(),
})
export type Subject = z.infer<typeof Subject>
const Made = z.object({ version: z.number(), subject: Subject })

/** How a subject's files are made, once; they are kept in `folder` until the recipe's version changes. */
export interface Recipe {
  name: string
  /** Part of the cache's key: another number makes the files anew. */
  version: number
  make(folder: string): Promise<Subject | string>
}

/** Whether its files are still where they were: a checkout may move. */
const isWhole = ({ model_path, calibration_path, evaluation_path }: Subject): boolean =>
  [model_path, calibration_path, evaluation_path].every((path) => existsSync(path))

/** The subject of a recipe, its files made anew only when the recipe's version is another; or why it cannot be had here. */
export const prepare = async (recipe: Recipe, cache: string): Promise<Subject | string> => {
  const folder = join(cache, recipe.name)
  const stamp = join(folder, 'made.json')
  const made = existsSync(stamp) ? Made.parse(JSON.parse(readFileSync(stamp, 'utf8'))) : undefined
  if (made?.version === recipe.version && isWhole(made.subject)) return made.subject
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const subject = await recipe.make(folder)
  if (typeof subject !== 'string') writeFileSync(stamp, JSON.stringify({ version: recipe.version, subject }))
  return subject
}
