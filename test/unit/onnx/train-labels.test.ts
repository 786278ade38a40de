import { describe, expect, it } from 'vitest'
import type { ModelProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { newPerceptron } from '../../../layers/onnx/train/new-perceptron.ts'
import { newResidualNetwork } from '../../../layers/onnx/train/new-residual-network.ts'
import { type LabelledTraining, trainFromLabels } from '../../../layers/onnx/train/train-from-labels.ts'

/** Pictures of 8×8 with a bright bar: lying, standing, falling or rising, anywhere, in noise. */
const [side, classes, samples] = [8, 4, 1200]
const random = seededRandom(3)
const labels = Uint8Array.from({ length: samples }, (_, at) => at % classes)
const pictures = (): Float32Array => {
  const all = Float32Array.from({ length: samples * side * side }, () => random() * 0.6)
  for (let row = 0; row < samples; row++) {
    const [shift, kind] = [Math.floor(random() * side), labels[row]!]
    for (let step = 0; step < side; step++) {
      const [y, x] = [
        [shift, step],
        [step, shift],
        [step, (step + shift) % side],
        [step, (2 * side - step - shift) % side],
      ][kind]! as [number, number]
      all[row * side * side + y * side + x]! += 0.9
    }
  }
  return all
}
const rows = pictures()
const common = { rows, labels, seed: 2, held_out_share: 0.2 }
const chance = 1 / classes

const residual = (): ModelProto => newResidualNetwork({ input: [1, side, side], widths: [8, 16], blocks: 1, classes })

describe('training a network of one’s own on labels', () => {
  it('a residual network with batch normalisation learns what it has not seen', async () => {
    const told: number[] = []
    const result = await trainFromLabels({
      ...common,
      model: residual(),
      row_dims: [1, side, side],
      epochs: 6,
      batch: 32,
      rate: 5e-3,
      batch_norm: 'batch',
      on_progress: ({ step }) => told.push(step),
    })
    expect(result.steps).toBe((6 * samples * 0.8) / 32)
    expect(told.at(-1)).toBe(result.steps)
    expect(result.held_out?.samples).toBe(240)
    expect(result.held_out?.accuracy).toBeGreaterThan(0.9)
    expect(result.curve.at(-1)!.loss).toBeLessThan(result.curve[0]!.loss / 3)
    const moved = mainGraph(result.model).initializer.filter(({ name }) => name?.endsWith('.mean'))
    expect(moved.length).toBe(6)
  }, 20_000)

  it('a perceptron learns the same way twice, and within its time', async () => {
    const job: LabelledTraining = {
      ...common,
      model: newPerceptron({ inputs: side * side, hidden: [48], classes }),
      row_dims: [side * side],
      epochs: 8,
      batch: 32,
      rate: 1e-2,
    }
    const [first, second] = [await trainFromLabels(job), await trainFromLabels(job)]
    expect(first.held_out?.accuracy).toBeGreaterThan(2 * chance)
    expect(Buffer.from(encodeModel(first.model)).equals(encodeModel(second.model))).toBe(true)
    const cut_short = await trainFromLabels({ ...job, epochs: 1e6, budget_ms: 150 })
    expect(cut_short.steps).toBeGreaterThan(0)
    expect(cut_short.steps).toBeLessThan((1e6 * samples * 0.8) / 32)
  }, 20_000)

  it('says what does not fit', async () => {
    const model = residual()
    await expect(trainFromLabels({ ...common, model, row_dims: [1, side, side], labels: labels.slice(1) })).rejects.toThrow(
      /as many samples in every array, got x 1200, train\/labels 1199/,
    )
    await expect(trainFromLabels({ ...common, model, row_dims: [1, side, side], labels: [1.5] })).rejects.toThrow()
  })

  it('starts from the same weights for the same seed', () => {
    const bytes = (seed: number) => Buffer.from(encodeModel(newPerceptron({ inputs: 4, hidden: [8], classes, seed })))
    expect(bytes(1).equals(bytes(1))).toBe(true)
    expect(bytes(1).equals(bytes(2))).toBe(false)
  })
})
