import { Tensor } from 'onnxruntime-node'
import type { ModelProto } from '../codec/schema.ts'
import { makeTensor } from '../graph/build.ts'
import { mainGraph } from '../graph/walk.ts'
import { LOSS } from './losses.ts'
import { nextName, WEIGHTS } from './optimizers.ts'
import { openSession } from './session.ts'
import { copyModel, storeConstants } from './trainable.ts'
import type { TrainingGraph } from './training-graph.ts'

export interface Trainer {
  /** One step on one batch; answers the loss before it. */
  step(feeds: Readonly<Record<string, Tensor>>, rate: number): Promise<number>
  /** Steps done, those of a run that this one continues among them. */
  steps(): number
  /** Weights, moments and statistics as they are now, by name; not copied. */
  state(): Map<string, Float32Array>
  /** A copy of the model with the weights and statistics as they are now. */
  trained(model: ModelProto): ModelProto
  release(): Promise<void>
}

/**
 * Holds a training graph in a session and carries the state from step to step. Runs in this process and blocks its thread:
 * for models of others it must be a process that may die.
 */
export const startTrainer = async (
  training: TrainingGraph,
  options: { threads?: number; from?: { step: number; state: ReadonlyMap<string, Float32Array> } | undefined } = {},
): Promise<Trainer> => {
  const session = await openSession(training.model, options)
  const { optimizer, layout } = training
  const state = new Map<string, Tensor>()
  for (const [name, values] of initialState(training)) {
    const known = options.from?.state.get(name) ?? values
    state.set(name, new Tensor('float32', known, [values.length]))
  }
  let steps = options.from?.step ?? 0
  return {
    steps: () => steps,
    state: () => new Map([...state].map(([name, tensor]) => [name, floatsOf(tensor)])),
    async step(feeds, rate) {
      steps += 1
      const scalars = Object.entries(optimizer.scalars(steps, rate)).map(([name, value]): [string, Tensor] => [
        name,
        new Tensor('float32', Float32Array.of(value), []),
      ])
      const answer = await session.run({ ...feeds, ...Object.fromEntries([...scalars, ...state]) })
      for (const name of state.keys()) state.set(name, answer[nextName(name)]!)
      return Number(answer[LOSS]!.data[0])
    },
    trained(model) {
      const values = new Map<string, { dims: readonly number[]; data: Float32Array }>()
      const weights = floatsOf(state.get(WEIGHTS)!)
      for (const { name, dims, offset, length: count } of layout)
        values.set(name, { dims, data: weights.slice(offset, offset + count) })
      for (const name of training.statistics.keys()) {
        const data = floatsOf(state.get(name)!)
        values.set(name, { dims: [data.length], data: data.slice() })
      }
      return withWeights(model, values)
    },
    release: () => session.release(),
  }
}

const initialState = ({ optimizer, weights, length, statistics }: TrainingGraph): [string, Float32Array][] => [
  ...optimizer.state.map((name): [string, Float32Array] => [name, name === WEIGHTS ? weights.slice() : new Float32Array(length)]),
  ...[...statistics].map(([name, values]): [string, Float32Array] => [name, values.slice()]),
]

const floatsOf = (tensor: Tensor): Float32Array => {
  if (!(tensor.data instanceof Float32Array)) throw new TypeError(`Training state is ${tensor.type}; wanted float32`)
  return tensor.data
}

/** A copy of the model with these stored tensors replaced; constants that were nodes become initializers. */
export const withWeights = (
  model: ModelProto,
  values: ReadonlyMap<string, { dims: readonly number[]; data: Float32Array }>,
): ModelProto => {
  const copy = copyModel(model)
  storeConstants(copy)
  const graph = mainGraph(copy)
  graph.initializer = graph.initializer.map((tensor) => {
    const value = values.get(tensor.name ?? '')
    return value ? makeTensor(tensor.name ?? '', value.dims, value.data) : tensor
  })
  return copy
}
