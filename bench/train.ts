/**
 * One training step of a 784-128-10 network, batch 128: distillation (KL at temperature 3 and cross-entropy) with Adam, forward,
 * backward and update in one onnxruntime call. Milliseconds per step, batch assembly included. `node bench/train.ts [STEPS]`.
 */
import { Tensor } from 'onnxruntime-node'
import { DataType } from '../layers/onnx/codec/data-types.ts'
import { seededRandom } from '../layers/onnx/evaluate/inputs.ts'
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../layers/onnx/graph/build.ts'
import { LABELS, TEACHER } from '../layers/onnx/train/losses.ts'
import { startTrainer } from '../layers/onnx/train/trainer.ts'
import { trainingGraph } from '../layers/onnx/train/training-graph.ts'

const steps = Number(process.argv[2] ?? 1000)
const [inputs, hidden, classes, batch] = [784, 128, 10, 128]
const rounds = 5
const random = seededRandom(1)
const noise = (count: number, scale: number): Float32Array =>
  Float32Array.from({ length: count }, () => (random() * 2 - 1) * scale)

const student = makeModel(
  makeGraph({
    nodes: [
      makeNode('Gemm', ['x', 'w1', 'b1'], ['h']),
      makeNode('Relu', ['h'], ['r']),
      makeNode('Gemm', ['r', 'w2', 'b2'], ['y']),
    ],
    inputs: [makeValueInfo('x', DataType.FLOAT, ['batch', inputs])],
    outputs: [makeValueInfo('y', DataType.FLOAT, ['batch', classes])],
    initializers: [
      makeTensor('w1', [inputs, hidden], noise(inputs * hidden, 0.05)),
      makeTensor('b1', [hidden], noise(hidden, 0.05)),
      makeTensor('w2', [hidden, classes], noise(hidden * classes, 0.1)),
      makeTensor('b2', [classes], noise(classes, 0.1)),
    ],
  }),
)

const rows = 4096
const images = noise(rows * inputs, 1)
const scores = noise(rows * classes, 4)
const labels = BigInt64Array.from({ length: rows }, () => BigInt(Math.floor(random() * classes)))

const floats = (data: Float32Array, width: number, picked: readonly number[]): Tensor => {
  const taken = new Float32Array(picked.length * width)
  for (const [at, row] of picked.entries()) taken.set(data.subarray(row * width, (row + 1) * width), at * width)
  return new Tensor('float32', taken, [picked.length, width])
}

const batchOf = (): Record<string, Tensor> => {
  const picked = Array.from({ length: batch }, () => Math.floor(random() * rows))
  const chosen = BigInt64Array.from(picked, (row) => labels[row]!)
  return {
    x: floats(images, inputs, picked),
    [TEACHER]: floats(scores, classes, picked),
    [LABELS]: new Tensor('int64', chosen, [batch]),
  }
}

for (const threads of [1, 2]) {
  const plan = {
    loss: { kind: 'distillation', temperature: 3, alpha: 0.9 },
    optimizer: { kind: 'adam' },
    output: 'y',
  } as const
  const example = { x: { type: 'float32', dims: [batch, inputs], bytes: new Uint8Array(4 * batch * inputs) } }
  const trainer = await startTrainer(await trainingGraph(student, plan, example), { threads })
  for (let step = 0; step < 50; step++) await trainer.step(batchOf(), 1e-3)
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    for (let step = 0; step < steps / rounds; step++) await trainer.step(batchOf(), 1e-3)
    times.push((performance.now() - started) / Math.ceil(steps / rounds))
  }
  times.sort((a, b) => a - b)
  console.log(
    `${inputs}-${hidden}-${classes}, batch ${batch}, distillation + Adam, ${threads} thread(s): best ${times[0]?.toFixed(3)}, median ${times[Math.floor(rounds / 2)]?.toFixed(3)} ms per step`,
  )
  await trainer.release()
}
