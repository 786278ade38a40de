import { eachTap } from '../../calibrate/tap.ts'
import type { ModelProto, NodeProto } from '../../codec/schema.ts'
import type { Feeds } from '../../evaluate/tensors.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../../graph/attributes.ts'
import { indexGraph, isPlain } from '../../graph/index-graph.ts'
import { mainGraph } from '../../graph/walk.ts'
import { crossProduct } from '../../linear-algebra/gram.ts'
import type { Gram } from '../nbits/gptq.ts'
import { productOf } from './units.ts'

/** A layer with more inputs per output takes seconds to factor, and 32 MB. */
const MOST_INPUTS = 2048
/** Positions of an image looked at per sample; neighbours say much the same. */
const MOST_POSITIONS = 1024

/** Rows wanted per input: with fewer, weights would learn the samples by heart. */
const ENOUGH_ROWS = 0.25

/** Rows multiplied at once. */
const TOGETHER = 256

const joined = (parts: readonly Float32Array[]): Float32Array => {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

interface Rows {
  values: Float32Array
  width: number
}

/**
 * What a convolution multiplies at positions of its output, [positions, channels · kernel], for two spatial axes and one group;
 * undefined for other forms.
 */
function patches(node: NodeProto, kernel: readonly number[], values: Float32Array, dims: readonly number[]): Rows | undefined {
  const [batch = 0, channels = 0, height = 0, width = 0] = dims
  const plain = intAttribute(node, 'group', 1) === 1 && ['', 'NOTSET'].includes(stringAttribute(node, 'auto_pad', ''))
  if (dims.length !== 4 || !plain) return undefined
  const [kernel_height = 1, kernel_width = 1] = kernel
  const [down = 1, across = 1] = intsAttribute(node, 'strides') ?? []
  const [dilate_down = 1, dilate_across = 1] = intsAttribute(node, 'dilations') ?? []
  const [top = 0, left = 0, bottom = 0, right = 0] = intsAttribute(node, 'pads') ?? []
  const out_height = Math.floor((height + top + bottom - dilate_down * (kernel_height - 1) - 1) / down) + 1
  const out_width = Math.floor((width + left + right - dilate_across * (kernel_width - 1) - 1) / across) + 1
  const positions = batch * out_height * out_width
  const step = Math.max(1, Math.floor(positions / MOST_POSITIONS))
  const size = channels * kernel_height * kernel_width
  const rows = new Float32Array(Math.ceil(positions / step) * size)
  let at = 0
  for (let position = 0; position < positions; position += step) {
    const image = Math.floor(position / (out_height * out_width))
    const first_row = (Math.floor(position / out_width) % out_height) * down - top
    const first_column = (position % out_width) * across - left
    for (let channel = 0; channel < channels; channel++)
      for (let y = 0; y < kernel_height; y++)
        for (let x = 0; x < kernel_width; x++, at++) {
          const [row, column] = [first_row + y * dilate_down, first_column + x * dilate_across]
          const inside = row >= 0 && row < height && column >= 0 && column < width
          if (inside) rows[at] = values[((image * channels + channel) * height + row) * width + column]!
        }
  }
  return { values: rows, width: size }
}

/**
 * Second moments of what each product with a stored weight multiplies, by the product's first output, for `StaticSettings.grams`.
 * Grouped convolutions, products over more than 2,048 inputs and those that read too few rows for that are left out. Runs the model in this process, which for foreign ones
 * must be one that may die.
 * @throws OnnxFault unsupported when a sample does not run
 */
export async function productGrams(model: ModelProto, samples: readonly Feeds[]): Promise<Map<string, Gram>> {
  const index = indexGraph(mainGraph(model), { ir_version: model.ir_version })
  const readers = new Map<string, { node: NodeProto; inputs: number; kernel: number[] }[]>()
  for (const node of index.graph.node) {
    const product = productOf(index, node, 1)
    if (!product || typeof product === 'string' || (isPlain(node, 'Gemm') && intAttribute(node, 'transA', 0) !== 0)) continue
    const { dims } = product.weight
    const inputs = dims.reduce((all, size) => all * size, 1) / (dims[product.axis] ?? 1)
    if (inputs > MOST_INPUTS) continue
    const value = node.input[0] ?? ''
    readers.set(value, [...(readers.get(value) ?? []), { node, inputs, kernel: dims.slice(2) }])
  }
  const grams = new Map<string, Gram>()
  const waiting = new Map<string, Float32Array[]>()
  const add = async (output: string, width: number): Promise<void> => {
    const values = joined(waiting.get(output) ?? [])
    waiting.delete(output)
    const moments = await crossProduct({ values, width }, { values, width })
    const known = grams.get(output)
    if (known) for (let at = 0; at < moments.length; at++) moments[at]! += known.moments[at]!
    grams.set(output, { moments, rows: values.length / width + (known?.rows ?? 0) })
  }
  await eachTap(
    model,
    samples,
    async (name, { data, dims }) => {
      if (!(data instanceof Float32Array) || data.length === 0) return
      for (const { node, inputs, kernel } of readers.get(name) ?? []) {
        const rows = isPlain(node, 'Conv') ? patches(node, kernel, data, dims) : { values: data, width: dims.at(-1) ?? 0 }
        if (rows?.width !== inputs) continue
        const output = node.output[0] ?? ''
        const parts = [...(waiting.get(output) ?? []), rows.values.slice()]
        waiting.set(output, parts)
        // A product of one row with itself costs as much memory traffic as that of hundreds.
        if (parts.reduce((sum, part) => sum + part.length, 0) >= TOGETHER * inputs) await add(output, inputs)
      }
    },
    { names: [...readers.keys()] },
  )
  const widths = new Map([...readers.values()].flat().map(({ node, inputs }) => [node.output[0] ?? '', inputs]))
  for (const output of [...waiting.keys()]) await add(output, widths.get(output) ?? 1)
  for (const [output, { rows, moments }] of grams) if (rows * rows < ENOUGH_ROWS ** 2 * moments.length) grams.delete(output)
  return grams
}
