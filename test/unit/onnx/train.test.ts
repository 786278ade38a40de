import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { LABELS, type LossSpec, TEACHER } from '../../../layers/onnx/train/losses.ts'
import type { OptimizerSpec } from '../../../layers/onnx/train/optimizers.ts'
import { rateAt } from '../../../layers/onnx/train/schedules.ts'
import { identity, linear, noise, storedIn, tensor, trainedOn } from './training-support.ts'

const softmax = (row: readonly number[]): number[] => {
  const top = Math.max(...row)
  const powers = row.map((value) => Math.exp(value - top))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map((value) => value / sum)
}
const rowsOf = (values: Float32Array, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, row) => [...values.subarray(row * width, (row + 1) * width)])

describe('losses', () => {
  const [rows, classes] = [3, 4]
  const scores = noise(rows * classes, 2)
  const teacher = noise(rows * classes, 2)
  const labels = [2, 0, 3]
  const feeds = {
    x: tensor([rows, rows], identity(rows)),
    [TEACHER]: tensor([rows, classes], teacher),
    [LABELS]: new ort.Tensor('int64', BigInt64Array.from(labels, BigInt), [rows]),
  }
  const pairs = rowsOf(scores, classes).map((got, row) => ({ got, wanted: rowsOf(teacher, classes)[row]!, label: labels[row]! }))
  const mean = (values: number[]): number => values.reduce((a, b) => a + b) / values.length
  const crossEntropy = mean(pairs.map(({ got, label }) => -Math.log(softmax(got)[label]!)))
  const divergence = (t: number): number =>
    mean(
      pairs.map(({ got, wanted }) => {
        const [p, q] = [softmax(wanted.map((value) => value / t)), softmax(got.map((value) => value / t))]
        return p.reduce((sum, chance, at) => sum + chance * Math.log(chance / q[at]!), 0)
      }),
    )
  const squared = mean([...scores].map((value, at) => (value - teacher[at]!) ** 2))

  it.each<[LossSpec, number]>([
    [{ kind: 'cross_entropy' }, crossEntropy],
    [{ kind: 'mse' }, squared],
    [{ kind: 'distillation', temperature: 3, alpha: 1 }, 9 * divergence(3)],
    [{ kind: 'distillation', temperature: 2, alpha: 0.7 }, 0.7 * 4 * divergence(2) + 0.3 * crossEntropy],
    [{ kind: 'distillation', temperature: 2, alpha: 0 }, crossEntropy],
  ])('%o is what its formula says', async (loss, wanted) => {
    const used = {
      x: feeds.x,
      ...(loss.kind === 'mse' || ('alpha' in loss && loss.alpha > 0) ? { [TEACHER]: feeds[TEACHER]! } : {}),
    }
    const labelled = loss.kind === 'cross_entropy' || ('alpha' in loss && loss.alpha < 1)
    const given = { ...used, ...(labelled ? { [LABELS]: feeds[LABELS]! } : {}) }
    const { losses } = await trainedOn(linear(scores, rows), { loss, optimizer: { kind: 'sgd' } }, given, [0])
    expect(losses[0]).toBeCloseTo(wanted, 5)
  })

  it('distillation pulls as Hinton’s derivative says', async () => {
    const [temperature, alpha] = [3, 0.8]
    const plan = { loss: { kind: 'distillation', temperature, alpha }, optimizer: { kind: 'sgd', momentum: 0 } } as const
    const { model } = await trainedOn(linear(scores, rows), plan, feeds, [1])
    const moved = storedIn(model, 'w')
    pairs.forEach(({ got, wanted, label }, row) => {
      const soft = softmax(got.map((value) => value / temperature))
      const target = softmax(wanted.map((value) => value / temperature))
      const hard = softmax(got)
      hard.forEach((chance, at) => {
        const pull = alpha * temperature * (soft[at]! - target[at]!) + (1 - alpha) * (chance - Number(at === label))
        expect(scores[row * classes + at]! - moved[row * classes + at]!).toBeCloseTo(pull / rows, 5)
      })
    })
  })
})

describe('optimizers', () => {
  const start = noise(6)
  const target = noise(6)
  const rates = [0.1, 0.05, 0.2, 0.1, 0.1]
  const feeds = { x: tensor([2, 2], identity(2)), [TEACHER]: tensor([2, 3], target) }
  /** The same steps in double precision, from the published formulas. */
  const reference = (spec: OptimizerSpec): number[] => {
    const w = [...start]
    const m = w.map(() => 0)
    const v = w.map(() => 0)
    rates.forEach((rate, at) => {
      let g = w.map((value, each) => (2 * (value - target[each]!)) / w.length)
      const length = Math.hypot(...g)
      if (spec.clip_norm !== undefined && length > spec.clip_norm) g = g.map((value) => (value * spec.clip_norm!) / length)
      w.forEach((_, each) => {
        w[each]! *= 1 - rate * (spec.weight_decay ?? 0)
        if (spec.kind === 'sgd') {
          m[each] = (spec.momentum ?? 0.9) * m[each]! + g[each]!
          w[each]! -= rate * m[each]!
          return
        }
        m[each] = 0.9 * m[each]! + 0.1 * g[each]!
        v[each] = 0.999 * v[each]! + 0.001 * g[each]! ** 2
        const [mean, square] = [m[each]! / (1 - 0.9 ** (at + 1)), v[each]! / (1 - 0.999 ** (at + 1))]
        w[each]! -= (rate * mean) / (Math.sqrt(square) + (spec.epsilon ?? 1e-8))
      })
    })
    return w
  }

  it.each<OptimizerSpec>([
    { kind: 'adam' },
    { kind: 'adam', epsilon: 0.01, weight_decay: 0.1 },
    { kind: 'adam', clip_norm: 0.05, epsilon: 0.01 },
    { kind: 'sgd' },
    { kind: 'sgd', momentum: 0, weight_decay: 0.2 },
    { kind: 'sgd', clip_norm: 0.1 },
  ])('%o takes the published steps', async (optimizer) => {
    const { model } = await trainedOn(linear(start, 2), { loss: { kind: 'mse' }, optimizer }, feeds, rates)
    const wanted = reference(optimizer)
    for (const [at, value] of storedIn(model, 'w').entries()) expect(value).toBeCloseTo(wanted[at]!, 4)
  })

  it('rates warm up, fall by the cosine or in steps', () => {
    const cosine = { kind: 'cosine', rate: 1, warm_up_steps: 4, floor: 0.1 } as const
    expect([1, 2, 4].map((step) => rateAt(cosine, step, 104))).toEqual([0.25, 0.5, 1])
    expect(rateAt(cosine, 5, 104)).toBe(1)
    expect(rateAt(cosine, 55, 104)).toBeCloseTo(0.55, 10)
    expect(rateAt(cosine, 104, 104)).toBeCloseTo(0.1, 3)
    const stepped = { kind: 'step', rate: 8, every_steps: 10, factor: 0.5 } as const
    expect([1, 10, 11, 21].map((step) => rateAt(stepped, step, 100))).toEqual([8, 8, 4, 2])
  })
})
