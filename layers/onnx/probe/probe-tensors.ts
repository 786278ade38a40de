import type { Tensor } from 'onnxruntime-node'
import { eachTap } from '../calibrate/tap.ts'
import { readModelFile } from '../codec/read-model.ts'
import { fromTensor } from '../evaluate/session-tensors.ts'
import { type Feeds, numbersOf } from '../evaluate/tensors.ts'

/** What one value of a model was over some rows. */
export interface ProbedTensor {
  /** As onnxruntime names it, e.g. `float32`. */
  type: string
  /** Each shape that came, once, in the order they came. */
  shapes: number[][]
  /** Over all finite elements; null where there were none, and for texts. */
  min: number | null
  max: number | null
  /** Whether some element was infinite or no number. */
  finite: boolean
}

/** Elements as plain numbers without a second copy of them, where their type allows. */
const elementsOf = (tensor: Tensor): Iterable<number | bigint> => {
  if (tensor.type === 'string') return []
  const { data } = tensor
  if (data instanceof Float32Array || data instanceof BigInt64Array || data instanceof Int32Array || data instanceof Uint8Array)
    return data
  return numbersOf(fromTensor(tensor)) ?? []
}

const add = (probed: ProbedTensor, tensor: Tensor): void => {
  const shape = [...tensor.dims]
  if (!probed.shapes.some((each) => each.length === shape.length && each.every((size, axis) => size === shape[axis])))
    probed.shapes.push(shape)
  let [low, high] = [probed.min ?? Number.POSITIVE_INFINITY, probed.max ?? Number.NEGATIVE_INFINITY]
  for (const element of elementsOf(tensor)) {
    const value = Number(element)
    if (!Number.isFinite(value)) {
      probed.finite = false
      continue
    }
    if (value < low) low = value
    if (value > high) high = value
  }
  if (low <= high) [probed.min, probed.max] = [low, high]
}

/**
 * Types, shapes and ranges of everything the outermost graph takes and computes, learnt by running it over rows with every value as an
 * output: what other compilers infer operator by operator. Values are fetched in groups of at most `group_bytes` (128 MiB unless told), each of
 * which runs the model once per row. Values inside sub-graphs, which run any number of times, are left out. Runs in this process, which
 * for foreign models must be one that may die.
 *
 * @throws OnnxFault unsupported when a row does not run, and what reading the model throws
 */
export const probeTensors = async (
  model_path: string,
  rows: readonly Feeds[],
  options: { group_bytes?: number; names?: readonly string[] } = {},
): Promise<Map<string, ProbedTensor>> => {
  const all = new Map<string, ProbedTensor>()
  await eachTap(
    readModelFile(model_path),
    rows,
    (name, tensor) => {
      const probed = all.get(name) ?? { type: tensor.type, shapes: [], min: null, max: null, finite: true }
      all.set(name, probed)
      add(probed, tensor)
    },
    options,
  )
  return all
}
