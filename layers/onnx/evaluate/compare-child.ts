import { type CompareOptions, compare } from './compare.ts'
import { isRunFault } from './fault.ts'
import { ArrayFault } from './npy.ts'
import { dieWithParent } from './orphan-guard.ts'

/** The process that compares two models: foreign arrays and outputs of any size end here. Started and ended by `compare-apart.ts`. */

/** What went wrong, in words that survive the way between processes; anything else is a fault of ours. */
const told = (error: unknown) => ({
  ok: false,
  kind: isRunFault(error) ? error.reason : error instanceof ArrayFault ? 'arrays' : 'fault',
  detail: error instanceof Error ? error.message : String(error),
})

dieWithParent()
process.on('message', async ({ id, ...options }: CompareOptions & { id: number }) => {
  try {
    process.send?.({ id, ok: true, comparison: await compare(options) })
  } catch (error) {
    process.send?.({ id, ...told(error) })
  }
})
