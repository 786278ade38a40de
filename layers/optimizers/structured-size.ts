import type { Inspection, TensorSpec } from '../core/domain/model.ts'

/** How much of a model's weights stays when its inner channels become fewer. */

/** Both sides of a convolution usually lose channels; first and last layers keep one side. */
const TWO_SIDED: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose'])
/** In blocks of attention and feed-forward layers one side is the residual stream, which keeps its width. */
const ONE_SIDED: ReadonlySet<string> = new Set(['MatMul', 'DepthwiseConv'])

/** Share of the weights of a network's layers that stays with this share of the channels: between share and share². */
export const keptShare = (share: number): number => (share * (1 + share)) / 2

/** Share of the weights of one operator that stays with this share of the channels. */
export const prunedShare = (summary: Inspection, operator: string, share: number): number => {
  if (operator === 'Gemm') return perceptronShare(summary, share)
  return TWO_SIDED.has(operator) ? keptShare(share) : ONE_SIDED.has(operator) ? share : 1
}

/**
 * Dense layers one after another, the hidden ones taken as equally wide: the first keeps all its inputs and the last all its outputs,
 * the others lose on both sides. Half way between where the numbers are not those of such a chain.
 */
function perceptronShare(summary: Inspection, share: number): number {
  const { elements = 0, channels = 0 } = summary.weights?.Gemm ?? {}
  const [input, output] = [rowSize(summary.inputs), rowSize(summary.outputs)]
  const hidden = Math.round((channels - output) / ((summary.operators?.Gemm ?? 0) - 1))
  const ends = hidden * (input + output)
  if (!(hidden > 0 && input > 0 && ends <= elements)) return keptShare(share)
  return (ends * share + (elements - ends) * share ** 2) / elements
}

/** Elements of one row of the only input or output; 0 where that is not known. */
const rowSize = (specs: readonly TensorSpec[] = []): number => {
  const [only, ...others] = specs
  if (!only || others.length > 0) return 0
  return only.shape.slice(1).reduce<number>((product, size) => product * (typeof size === 'number' ? size : 0), 1)
}
