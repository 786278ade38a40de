import { eachTap } from '../calibrate/tap.ts'
import { DataType } from '../codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../codec/schema.ts'
import { elementCount, tensorFloats } from '../codec/tensor-values.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { makeTensor } from '../graph/build.ts'
import { dropUnused, nameSource } from '../graph/edit.ts'
import { constantTensor, type GraphIndex, indexGraph, isPlain } from '../graph/index-graph.ts'
import { mainGraph } from '../graph/walk.ts'

/** How long the whole correction may run models, about. */
const MOST_MS = 8000

/** A node that adds a stored float per channel to what it answers. */
interface Site {
  node: NodeProto
  input: number
  bias: TensorProto
  /** Of the node's output, counted from the front, or from the back where negative. */
  axis: number
}

/**
 * What rounding moves on average is put back into biases (Nagel et al., "Data-Free Quantization through Weight Equalization and Bias
 * Correction", 2019, §4.2, with rows instead of assumptions): layer after layer, the mean of each channel becomes what it was in
 * `original`, whose values bear the same names. Where running that often would take too long, fewer layers, evenly spread, the last one
 * always. Changes `candidate` in place and answers how many biases moved. Runs both models in this process, which for foreign ones must be one that may die.
 */
export async function correctBiases(
  candidate: ModelProto,
  original: ModelProto,
  samples: readonly Feeds[],
  most_ms = MOST_MS,
): Promise<number> {
  const { producers } = indexGraph(mainGraph(original), { ir_version: original.ir_version })
  const sites = sitesIn(candidate).filter(({ node }) => producers.has(node.output[0] ?? ''))
  if (sites.length === 0 || samples.length === 0) return 0
  const started = performance.now()
  const wanted = await channelMeans(original, samples, sites)
  const pass_ms = performance.now() - started
  const fresh = nameSource(candidate)
  const chosen = evenly(sites, Math.max(1, Math.floor((most_ms - pass_ms) / (1.5 * pass_ms))))
  let moved = 0
  for (const site of chosen) {
    const output = site.node.output[0] ?? ''
    const before = wanted.get(output)
    const after = (await channelMeans(candidate, samples, [site])).get(output)
    if (!before || after?.length !== before.length) continue
    const bias = tensorFloats(site.bias).map((value, at) => value + before[at]! - after[at]!)
    if (!bias.every(Number.isFinite)) continue
    const name = fresh(`${site.bias.name || output}_corrected`)
    mainGraph(candidate).initializer.push(makeTensor(name, site.bias.dims, Float32Array.from(bias)))
    site.node.input[site.input] = name
    moved++
  }
  dropUnused(candidate)
  return moved
}

/** `count` of them, evenly spread, the last one always. */
const evenly = (sites: readonly Site[], count: number): Site[] => {
  const step = sites.length / Math.min(count, sites.length)
  return Array.from({ length: Math.min(count, sites.length) }, (_, at) => sites[Math.ceil((at + 1) * step) - 1]!)
}

function sitesIn(model: ModelProto): Site[] {
  const index = indexGraph(mainGraph(model), { ir_version: model.ir_version })
  return index.graph.node.flatMap((node) => siteOf(index, node) ?? [])
}

function siteOf(index: GraphIndex, node: NodeProto): Site | undefined {
  if (isPlain(node, 'Conv') || isPlain(node, 'Gemm')) {
    const bias = constantTensor(index, node.input[2] ?? '')
    const usable = bias?.data_type === DataType.FLOAT && elementCount(bias.dims) === Math.max(0, ...bias.dims)
    return bias && usable ? { node, input: 2, bias, axis: isPlain(node, 'Conv') ? 1 : -1 } : undefined
  }
  if (!isPlain(node, 'Add')) return undefined
  for (const input of [1, 0]) {
    const bias = constantTensor(index, node.input[input] ?? '')
    if (!bias || bias.data_type !== DataType.FLOAT || bias.dims.length === 0) continue
    const channels = bias.dims.findIndex((size) => size > 1)
    const wide = channels < 0 ? bias.dims.length - 1 : channels
    if (elementCount(bias.dims) === bias.dims[wide]) return { node, input, bias, axis: wide - bias.dims.length }
  }
  return undefined
}

/** Mean over samples and positions, per channel, by name of the value; those whose channels do not fit are left out. */
async function channelMeans(
  model: ModelProto,
  samples: readonly Feeds[],
  sites: readonly Site[],
): Promise<Map<string, Float64Array>> {
  const places = new Map(sites.map((site) => [site.node.output[0] ?? '', site]))
  const sums = new Map<string, { sum: Float64Array; count: number }>()
  await eachTap(
    model,
    samples,
    (name, { data, dims }) => {
      const site = places.get(name)
      if (!site || !(data instanceof Float32Array)) return
      const axis = site.axis < 0 ? dims.length + site.axis : site.axis
      const channels = elementCount(site.bias.dims)
      if (channels > 1 && dims[axis] !== channels) return
      const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1)
      const known = sums.get(name) ?? { sum: new Float64Array(channels), count: 0 }
      for (let at = 0; at < data.length; at++) known.sum[Math.floor(at / inner) % channels]! += data[at]!
      known.count += data.length / channels
      sums.set(name, known)
    },
    { names: [...places.keys()] },
  )
  return new Map([...sums].map(([name, { sum, count }]) => [name, sum.map((value) => value / Math.max(1, count))]))
}
