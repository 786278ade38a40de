import { eachTap } from '../../calibrate/tap.ts'
import type { ModelProto } from '../../codec/schema.ts'
import type { Feeds } from '../../evaluate/tensors.ts'
import { OnnxFault } from '../../fault.ts'
import { crossProduct } from '../../linear-algebra/gram.ts'
import type { Gram } from './gptq.ts'

/** A wider layer's second moments take more than 128 MB, and factoring them minutes. */
const MOST_INPUTS = 4096

/**
 * Second moments Σ xᵀ·x of the named values over samples, [last axis, last axis] row-major. Values wider than 4,096 are left out.
 * Runs the model in this process, which for foreign ones must be one that may die.
 * @throws OnnxFault unsupported when a sample does not run, or a value is not finite or changes its last axis
 */
export async function inputGrams(
  model: ModelProto,
  samples: readonly Feeds[],
  names: ReadonlySet<string>,
): Promise<Map<string, Gram>> {
  const grams = new Map<string, Gram>()
  await eachTap(
    model,
    samples,
    async (name, { data, dims }) => {
      const width = dims.at(-1) ?? 0
      if (!(data instanceof Float32Array) || width === 0 || width > MOST_INPUTS || data.length === 0) return
      const moments = await crossProduct({ values: data, width }, { values: data, width })
      const rows = data.length / width
      const known = grams.get(name)
      if (known && known.moments.length !== moments.length)
        throw new OnnxFault('unsupported', `The last axis of "${name}" is ${width} in one sample and another size in others`)
      if (known) for (let at = 0; at < moments.length; at++) moments[at]! += known.moments[at]!
      grams.set(name, { moments, rows: rows + (known?.rows ?? 0) })
    },
    { names: [...names] },
  )
  for (const [name, gram] of grams)
    if (!gram.moments.every(Number.isFinite))
      throw new OnnxFault('unsupported', `The value "${name}" is not finite on these samples`)
  return grams
}
