/** How much of a model's weights stays when its inner channels become fewer. */

/** Both sides of a convolution usually lose channels; first and last layers keep one side. */
const TWO_SIDED: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose'])
/**
 * In blocks of attention and feed-forward layers one side is the residual stream, which keeps its width. Of dense layers the first,
 * which reads all inputs, mostly holds most of the weights.
 */
const ONE_SIDED: ReadonlySet<string> = new Set(['MatMul', 'Gemm', 'DepthwiseConv'])

/** Share of the weights of a network's dense layers that stays with this share of the channels: between share and share². */
export const keptShare = (share: number): number => (share * (1 + share)) / 2

/** Share of the weights of one operator that stays with this share of the channels. */
export const prunedShare = (operator: string, share: number): number =>
  TWO_SIDED.has(operator) ? keptShare(share) : ONE_SIDED.has(operator) ? share : 1
