import * as z from 'zod'
import { wishesOf } from '../core/domain/accuracy-gate.ts'
import type { JsonObject } from '../core/domain/json.ts'
import type { Inspection } from '../core/domain/model.ts'

const Names = z.array(z.string().min(1).max(500)).max(10_000)
/** Every candidate's settings repeat the names, and a record holds dozens of candidates in 350 kB. */
const MOST_CHARACTERS = 2000

/** Which nodes a quantizer may change, by name, first output or `/pattern/`. */
export const NodeOptions = z.strictObject({
  nodes_to_quantize: Names.optional(),
  nodes_to_exclude: Names.optional(),
  op_types_to_quantize: z.array(z.string().min(1).max(100)).max(200).optional(),
})
export type NodeOptions = z.output<typeof NodeOptions>

/** ONNX Runtime's names for what is called otherwise here. */
const spelling: Readonly<Record<string, string>> = {
  ...{ qint8: 's8', int8: 's8', quint8: 'u8', uint8: 'u8' },
  ...{ minmax: 'min_max', movingaverage: 'moving_average' },
}
const spelled = (value: unknown): unknown =>
  typeof value === 'string' ? (spelling[value.toLowerCase()] ?? value.toLowerCase()) : value

export const CALIBRATION_METHODS = ['percentile', 'mse', 'min_max', 'moving_average', 'entropy'] as const

/** The members of metadata that quantizers read, named as ONNX Runtime's quantization tool names them. */
const Asked = NodeOptions.extend({
  per_channel: z.boolean().optional(),
  reduce_range: z.boolean().optional(),
  weight_type: z.preprocess(spelled, z.enum(['s8', 'u8', 's7']).optional()),
  activation_type: z.preprocess(spelled, z.enum(['u8', 's8']).optional()),
  calibration_method: z.preprocess(spelled, z.enum(CALIBRATION_METHODS).optional()),
  /** Of float16: operators and nodes that stay float32, and whether inputs and outputs do. */
  op_block_list: z.array(z.string().min(1).max(100)).max(200).optional(),
  node_block_list: Names.optional(),
  keep_io_types: z.boolean().optional(),
}).strip()
/** Members of metadata that rows of quantizers read. */
export const QUANTIZER_MEMBERS: readonly string[] = Object.keys(Asked.shape)

export interface QuantizerOptions extends Omit<z.output<typeof Asked>, keyof NodeOptions> {
  /** Absent where every node may change. */
  nodes?: NodeOptions
  /** From `weight_type` and `reduce_range`; absent: by the machine that will serve. */
  weight_type?: 's8' | 'u8' | 's7' | undefined
}

/** What metadata say about quantization; a sentence when a member cannot be used. */
export function quantizerOptions(metadata: JsonObject): QuantizerOptions | string {
  const asked = Asked.safeParse(metadata)
  if (!asked.success) {
    const [issue] = asked.error.issues
    return `metadata.${issue?.path.join('.')} is not usable: ${issue?.message}`
  }
  const { nodes_to_quantize, nodes_to_exclude, op_types_to_quantize, reduce_range, weight_type, ...rest } = asked.data
  const names = [...(nodes_to_quantize ?? []), ...(nodes_to_exclude ?? []), ...(rest.node_block_list ?? [])]
  const characters = names.join('').length
  if (characters > MOST_CHARACTERS)
    return `metadata names nodes with ${characters} characters; wanted at most ${MOST_CHARACTERS}: a /pattern/ says the same in few`
  const broken = names.find((name) => isPattern(name) && patternOf(name) === undefined)
  if (broken !== undefined) return `metadata names the pattern ${broken}, which is no regular expression`
  const nodes = Object.fromEntries(
    Object.entries({ nodes_to_quantize, nodes_to_exclude, op_types_to_quantize }).filter(([, value]) => value !== undefined),
  )
  const type = reduce_range ? 's7' : weight_type
  return { ...rest, ...(type ? { weight_type: type } : {}), ...(Object.keys(nodes).length > 0 ? { nodes } : {}) }
}

/** Why none of the operators asked for can be quantized by a method that takes these; undefined when one can. */
export function refusedOperators(summary: Inspection, { nodes }: QuantizerOptions, taken: readonly string[]): string | undefined {
  const wanted = nodes?.op_types_to_quantize
  if (!wanted) return undefined
  const unknown = wanted.filter((operator) => (summary.operators?.[operator] ?? 0) === 0)
  if (unknown.length === wanted.length)
    return `metadata.op_types_to_quantize names ${unknown.join(', ')}, which the model has none of`
  return wanted.some((operator) => taken.includes(operator))
    ? undefined
    : `Takes ${taken.join(', ')}, asked for ${wanted.join(', ')}`
}

const isPattern = (name: string): boolean => name.length > 2 && name.startsWith('/') && name.endsWith('/')

function patternOf(name: string): RegExp | undefined {
  try {
    return new RegExp(name.slice(1, -1))
  } catch {
    return undefined
  }
}

/** Names as they stand, `/…/` as regular expressions. */
export const patternsOf = (names: readonly string[]): (string | RegExp)[] =>
  names.map((name) => (isPattern(name) ? (patternOf(name) ?? name) : name))

/** What metadata say to a row that makes int8 of these operators; a sentence where it does not fit them or the model. */
export function int8Options(summary: Inspection, metadata: JsonObject, operators: readonly string[]): QuantizerOptions | string {
  if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
  const { precision } = wishesOf(metadata)
  if (precision !== undefined && !['int8', 'auto'].includes(precision)) return `Makes int8, asked for ${precision}`
  const options = quantizerOptions(metadata)
  if (typeof options === 'string') return options
  return refusedOperators(summary, options, operators) ?? options
}
