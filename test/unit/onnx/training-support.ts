import * as ort from 'onnxruntime-node'
import type { ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { tensorFloats } from '../../../layers/onnx/codec/tensor-values.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { LABELS, TEACHER } from '../../../layers/onnx/train/losses.ts'
import { startTrainer } from '../../../layers/onnx/train/trainer.ts'
import { type TrainingPlan, trainingGraph } from '../../../layers/onnx/train/training-graph.ts'

const random = seededRandom(42)
export const noise = (count: number, scale = 1): Float32Array =>
  Float32Array.from({ length: count }, () => (random() * 2 - 1) * scale)
export const float32 = (dims: number[], data: Float32Array) => ({ type: 'float32', dims, bytes: new Uint8Array(data.buffer) })
export const tensor = (dims: number[], data: Float32Array): ort.Tensor => new ort.Tensor('float32', data, dims)

export const network = (nodes: NodeProto[], shape: number[], initializers: TensorProto[]): ModelProto =>
  makeModel(
    makeGraph({ nodes, inputs: [makeValueInfo('x', 1, ['batch', ...shape])], outputs: [makeValueInfo('y', 1)], initializers }),
  )

/** y = x·w: with the identity as x, the weights are the outputs. */
export const linear = (w: Float32Array, rows: number): ModelProto =>
  network([makeNode('MatMul', ['x', 'w'], ['y'])], [rows], [makeTensor('w', [rows, w.length / rows], w)])
export const identity = (rows: number): Float32Array =>
  Float32Array.from({ length: rows ** 2 }, (_, at) => Number(at % (rows + 1) === 0))

export const storedIn = (model: ModelProto, name: string): Float32Array =>
  tensorFloats(mainGraph(model).initializer.find((each) => each.name === name)!)

/** Weights after steps on one batch. */
export const trainedOn = async (
  model: ModelProto,
  plan: Omit<TrainingPlan, 'output'>,
  feeds: Record<string, ort.Tensor>,
  rates: readonly number[],
): Promise<{ model: ModelProto; losses: number[] }> => {
  const example = Object.entries(feeds).filter(([name]) => name !== LABELS && name !== TEACHER)
  const shapes = Object.fromEntries(example.map(([name, { dims, size }]) => [name, float32([...dims], new Float32Array(size))]))
  const trainer = await startTrainer(await trainingGraph(model, { ...plan, output: 'y' }, shapes))
  const losses: number[] = []
  for (const rate of rates) losses.push(await trainer.step(feeds, rate))
  const trained = trainer.trained(model)
  await trainer.release()
  return { model: trained, losses }
}
