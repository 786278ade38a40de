import type { AttributeProto, NodeProto } from '../codec/schema.ts'
import { intsAttribute, stringAttribute } from '../graph/attributes.ts'
import { intAttr, intsAttr } from '../graph/build.ts'

/** One spatial axis of a convolution or pooling node, with every size fixed. */
export interface WindowAxis {
  size: number
  out: number
  kernel: number
  stride: number
  dilation: number
  pad_begin: number
  /**
   * Elements behind the last window's end, counted in the input without its end padding: what no window reads (then < stride), or
   * negative where the last window reaches into padding.
   */
  unread: number
}

/** The axes of a window; `kernel` as the weights or the attribute say it, sizes from the shapes of input and output. */
export const windowAxes = (
  node: NodeProto,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): WindowAxis[] => {
  const auto_pad = stringAttribute(node, 'auto_pad', 'NOTSET')
  const strides = intsAttribute(node, 'strides')
  const dilations = intsAttribute(node, 'dilations')
  const pads = intsAttribute(node, 'pads')
  return kernel.map((extent, axis) => {
    const size = input[axis + 2]!
    const out = output[axis + 2]!
    const stride = strides?.[axis] ?? 1
    const dilation = dilations?.[axis] ?? 1
    const span = stride * (out - 1) + (extent - 1) * dilation + 1
    const same = Math.max(0, span - size)
    const automatic = auto_pad === 'SAME_UPPER' ? Math.floor(same / 2) : auto_pad === 'SAME_LOWER' ? Math.ceil(same / 2) : 0
    const pad_begin = auto_pad === 'NOTSET' ? (pads?.[axis] ?? 0) : automatic
    return { size, out, kernel: extent, stride, dilation, pad_begin, unread: size + pad_begin - span }
  })
}

/** Strides, dilations, pads and groups of a convolution over these axes, transposed or not. */
export const windowAttributes = (axes: readonly WindowAxis[], group: number): AttributeProto[] => [
  intsAttr(
    'strides',
    axes.map((axis) => axis.stride),
  ),
  intsAttr(
    'dilations',
    axes.map((axis) => axis.dilation),
  ),
  intsAttr(
    'pads',
    // All begins, then all ends.
    [...axes.map((axis) => axis.pad_begin), ...axes.map((axis) => Math.max(0, -axis.unread))],
  ),
  intAttr('group', group),
]
