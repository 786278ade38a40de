/** Shapes combined as the ONNX operators do; undefined when an operand is unknown or the shapes do not fit. */

export type Shape = number[]

export const product = (dims: readonly number[]): number => dims.reduce((total, dim) => total * dim, 1)

/** Multidirectional (numpy) broadcasting. */
export const broadcast = (shapes: readonly (Shape | undefined)[]): Shape | undefined => {
  let out: Shape = []
  for (const shape of shapes) {
    if (!shape) return undefined
    const rank = Math.max(out.length, shape.length)
    const joined: Shape = []
    for (let at = 0; at < rank; at++) {
      const left = out[out.length - rank + at] ?? 1
      const right = shape[shape.length - rank + at] ?? 1
      if (left !== right && left !== 1 && right !== 1) return undefined
      joined.push(left === 1 ? right : left)
    }
    out = joined
  }
  return out
}

/** Shape of numpy's `matmul`. */
export const matMulShape = (a: Shape | undefined, b: Shape | undefined): Shape | undefined => {
  if (!a || !b || a.length === 0 || b.length === 0) return undefined
  const left = a.length === 1 ? [1, ...a] : a
  const right = b.length === 1 ? [...b, 1] : b
  if (left.at(-1) !== right.at(-2)) return undefined
  const batch = broadcast([left.slice(0, -2), right.slice(0, -2)])
  if (!batch) return undefined
  return [...batch, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])]
}

/** An axis counted from the end as one from the start. */
export const fromStart = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

export interface Window {
  kernel: Shape
  strides: Shape
  pads: Shape
  dilations: Shape
  auto_pad: string
  ceil: boolean
}

/** Spatial sizes after sliding a window over them; undefined where the window does not fit. */
export const slideWindow = (sizes: Shape, window: Window): Shape | undefined => {
  const { kernel, strides, pads, dilations, auto_pad, ceil } = window
  const rank = sizes.length
  const out = sizes.map((size, axis) => {
    const stride = strides[axis] ?? 1
    const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1
    if (auto_pad.startsWith('SAME')) return Math.ceil(size / stride)
    const padded = auto_pad === 'VALID' ? size : size + (pads[axis] ?? 0) + (pads[axis + rank] ?? 0)
    const steps = (padded - reach) / stride
    const whole = ceil ? Math.ceil(steps) : Math.floor(steps)
    // A last window that would start in the padding behind the input is not counted.
    return ceil && whole * stride >= size + (pads[axis] ?? 0) ? whole : whole + 1
  })
  return out.every((size) => Number.isInteger(size) && size >= 1) ? out : undefined
}

/** Numbers that `Slice` keeps of an axis. */
export const sliceCount = (size: number, start: number, end: number, step: number): number => {
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high)
  const from = start < 0 ? start + size : start
  const to = end < 0 ? end + size : end
  if (step > 0) return Math.max(0, Math.ceil((clamp(to, 0, size) - clamp(from, 0, size)) / step))
  return Math.max(0, Math.ceil((clamp(to, -1, size - 1) - clamp(from, 0, size - 1)) / step))
}
