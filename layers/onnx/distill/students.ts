import { loadModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { copyModel, storeConstants } from '../train/trainable.ts'
import { makeLowRank } from './low-rank.ts'
import { makeNarrower } from './narrower.ts'
import { makeShallower } from './shallower.ts'

/**
 * The model that learns. The first three are derived from the teacher and start with what they keep of its weights; `share` is how
 * much remains: of the channels, of the blocks, or of the weights of each matrix, 0–1 exclusive.
 */
export type StudentSpec = DerivedStudent | { kind: 'given'; model_path: string }
export interface DerivedStudent {
  kind: 'narrower' | 'shallower' | 'low_rank'
  share: number
}

export interface Student {
  model: ModelProto
  notes: string[]
}

const nothing: Readonly<Record<DerivedStudent['kind'], string>> = {
  narrower: 'no layer has more than eight channels that only one other layer reads',
  shallower: 'no block or layer has the same shape before and behind',
  low_rank: 'no stored matrix is large enough to split in two smaller ones',
}

export const givenStudent = (model_path: string): Student => ({ model: loadModel(model_path), notes: ['student as given'] })

/**
 * A student for this teacher.
 * @throws OnnxFault unsupported when the family has nothing to take from this teacher, or `share` is no share
 */
export const studentOf = (teacher: ModelProto, spec: DerivedStudent, seed: number): Student => {
  if (!(spec.share > 0 && spec.share < 1))
    throw new OnnxFault('unsupported', `A student keeps a share between 0 and 1, got ${spec.share}`)
  const model = copyModel(teacher)
  storeConstants(model)
  const notes =
    spec.kind === 'narrower'
      ? makeNarrower(model, spec.share)
      : spec.kind === 'shallower'
        ? makeShallower(model, spec.share).map((name) => `without ${name}`)
        : makeLowRank(model, spec.share, seed).map((name) => `split ${name}`)
  if (notes.length === 0) throw new OnnxFault('unsupported', `No ${spec.kind} student can be derived: ${nothing[spec.kind]}`)
  return { model, notes }
}
