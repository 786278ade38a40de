import { type CompareOptions, compareWith, type PreparedOriginal, prepareOriginal } from './compare.ts'
import { isRunFault } from './fault.ts'
import { ArrayFault } from './npy.ts'
import { dieWithParent } from './orphan-guard.ts'

/**
 * The process that compares models: foreign arrays and outputs of any size end here. Started and ended by `compare-apart.ts`. The
 * original of the last comparison stays loaded, for the next candidate of the same search.
 */

/** What went wrong, in words that survive the way between processes; anything else is a fault of ours. */
const told = (error: unknown) => ({
  ok: false,
  kind: isRunFault(error) ? error.reason : error instanceof ArrayFault ? 'arrays' : 'fault',
  detail: error instanceof Error ? error.message : String(error),
})

let kept: { key: string; original: PreparedOriginal } | undefined

/** All that the original is prepared by. */
const keyOf = (options: CompareOptions): string => {
  const { original_path, calibration_path, evaluation_path, unfitted, shapes, class_output, threads, memory_limit_bytes } =
    options
  const data = [calibration_path, evaluation_path, unfitted === true]
  return JSON.stringify([original_path, data, shapes, class_output, threads, memory_limit_bytes])
}

async function forget(): Promise<void> {
  const { original } = kept ?? {}
  kept = undefined
  await original?.stop()
}

async function compared(options: CompareOptions) {
  const key = keyOf(options)
  if (kept?.key !== key) {
    await forget()
    kept = { key, original: await prepareOriginal(options) }
  }
  try {
    return await compareWith(kept.original, options)
  } catch (error) {
    // Whichever of both it was, what is begun anew is sound.
    await forget()
    throw error
  }
}

dieWithParent()
process.on('message', async ({ id, ...options }: CompareOptions & { id: number }) => {
  try {
    process.send?.({ id, ok: true, comparison: await compared(options) })
  } catch (error) {
    process.send?.({ id, ...told(error) })
  }
})
