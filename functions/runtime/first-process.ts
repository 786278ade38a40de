import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startInstance } from '../../layers/serving/instance.ts'

/** Working folder of model processes; nothing is ever in it. */
export const empty_dir = join(tmpdir(), 'empty')
mkdirSync(empty_dir, { recursive: true })

let first: ReturnType<typeof startInstance> | undefined = startInstance(empty_dir)

/** The process that was started before anything else, the first time; then new ones. */
export const takeInstance = (): ReturnType<typeof startInstance> => {
  const taken = first ?? startInstance(empty_dir)
  first = undefined
  return taken
}
