import type { ModelProto } from '../../codec/schema.ts'
import { OnnxFault } from '../../fault.ts'
import { indexGraph } from '../../graph/index-graph.ts'
import { mainGraph } from '../../graph/walk.ts'
import { quantizeDynamic } from '../dynamic-int8.ts'
import type { Reference } from '../measure.ts'
import { choosesNode, type NodeChoice } from '../node-choice.ts'
import { holdWithFewestDropped, sensitivityList } from '../sensitivity.ts'
import { quantizeWeightsOnly } from '../weight-only.ts'
import { quantizeStatic } from './quantize-static.ts'
import type { Ranges, StaticReport, StaticSettings } from './settings.ts'
import { productOf } from './units.ts'

/** Time for measuring every product alone. */
const RANKING_MS = 20_000
const RANKING_SAMPLES = 2

export interface MixedStatic {
  model: ModelProto
  report: StaticReport
}

/**
 * Static int8 but for the products with these first outputs, which compute in floats from weights stored as int8. What static
 * quantization does not reach, embeddings and products in sub-graphs, becomes dynamic int8.
 */
export function mixedStatic(
  model: ModelProto,
  ranges: Ranges,
  settings: StaticSettings,
  exclude: ReadonlySet<string>,
): MixedStatic {
  const { nodes_to_quantize, nodes_to_exclude = [], grams, weight_type } = settings
  const products = productsIn(model, {})
  const report = quantizeStatic(model, ranges, { ...settings, nodes_to_exclude: [...nodes_to_exclude, ...exclude] })
  if (exclude.size > 0)
    quantizeWeightsOnly(model, { widen: 'load', nodes_to_quantize: [...exclude], ...(grams ? { grams } : {}) })
  const choice = { nodes_to_exclude, ...(nodes_to_quantize ? { nodes_to_quantize } : {}) }
  const rest = quantizeDynamic(model, { ...choice, weight_type, conv: 'none', gather: true, exclude: new Set(products) })
  for (const [operator, count] of Object.entries(rest.quantized)) report.quantized[`${operator} (dynamic)`] = count
  return { model, report }
}

/** First outputs of the products with a stored weight that the choice takes. */
export const productsIn = (model: ModelProto, settings: NodeChoice): string[] => {
  const index = indexGraph(mainGraph(model), { ir_version: model.ir_version })
  const chooses = choosesNode(settings, ['Conv', 'Gemm', 'MatMul'])
  return index.graph.node.flatMap((node) => {
    const product = productOf(index, node, 1)
    return product && typeof product !== 'string' && chooses(node) ? [node.output[0] ?? ''] : []
  })
}

export interface Builds {
  /** A candidate from scratch without these products; their weights as int8 all the same. */
  mixed(exclude: ReadonlySet<string>): MixedStatic
  /** The same with those as they were, to measure the others by. */
  plain(exclude: ReadonlySet<string>): ModelProto
}

/**
 * The fewest of the most sensitive products as floats, so that the candidate keeps an SQNR.
 * @throws OnnxFault unsupported when no mix keeps it, or `pure` keeps it already (and so is no other candidate)
 */
export async function holdStatic(
  wanted_db: number,
  reference: Reference,
  pure: { sqnr_db: number },
  products: readonly string[],
  builds: Builds,
): Promise<MixedStatic & { sqnr_db: number; dropped: string[] }> {
  if (pure.sqnr_db >= wanted_db)
    throw new OnnxFault('nothing_to_do', `Nothing needs to stay floats: all of it together keeps ${pure.sqnr_db.toFixed(1)} dB`)
  const reports = new Map<ModelProto, StaticReport>()
  const noting = (exclude: ReadonlySet<string>): ModelProto => {
    const { model, report } = builds.mixed(exclude)
    reports.set(model, report)
    return model
  }
  const options = { samples: RANKING_SAMPLES, until_ms: performance.now() + RANKING_MS }
  const list = await sensitivityList(reference, products, builds.plain, options)
  const mixed = await holdWithFewestDropped(reference, list, noting, wanted_db)
  return { ...mixed, report: reports.get(mixed.model) ?? { quantized: {}, absorbed: 0, left: {} } }
}
