import type { ModelProto } from '../codec/schema.ts'
import type { Int8Support } from '../probe/isa.ts'
import { type Reference, sqnrAgainst } from './measure.ts'
import type { WeightType } from './weights.ts'

/** Less than this is not worth the slower kernel. */
const WORTH_DB = 1

/**
 * Weight types for an instruction set, fastest first. With VNNI or ARM's dot product int8 sums never saturate: s8 is exact and
 * nothing else is worth trying. AVX2's `vpmaddubsw` saturates int16 with full-range s8 weights; s7 cannot and stays fast, u8
 * is exact by another, slower kernel.
 */
export const weightTypesFor = (support: Int8Support): WeightType[] =>
  support === 'vnni' || support === 'arm' ? ['s8'] : ['s7', 'u8']

export interface WeightTypeChoice {
  weight_type: WeightType
  /** Measured, by type tried; nothing where only one was possible. */
  sqnr_db: Partial<Record<WeightType, number>>
}

/**
 * The weight type by instruction set and measured SQNR: the fastest unless a slower one is at least 1 dB better and the fastest does
 * not reach `wanted_db`. `build` makes the candidate of a type from scratch.
 * @throws what `build` throws for the first type
 */
export async function chooseWeightType(
  support: Int8Support,
  reference: Reference,
  build: (type: WeightType) => ModelProto,
  wanted_db = Number.POSITIVE_INFINITY,
): Promise<WeightTypeChoice> {
  const types = weightTypesFor(support)
  const [first = 'u8'] = types
  if (types.length === 1) return { weight_type: first, sqnr_db: {} }
  const choice: WeightTypeChoice = { weight_type: first, sqnr_db: {} }
  for (const type of types) {
    const sqnr_db = await sqnrAgainst(reference, build(type))
    const best = choice.sqnr_db[choice.weight_type] ?? Number.NEGATIVE_INFINITY
    choice.sqnr_db[type] = sqnr_db
    if (best < wanted_db && sqnr_db >= best + WORTH_DB) choice.weight_type = type
  }
  return choice
}
