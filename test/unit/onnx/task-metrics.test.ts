import { describe, expect, it } from 'vitest'
import { fidelityMeter } from '../../../layers/onnx/evaluate/fidelity.ts'
import type { Label } from '../../../layers/onnx/evaluate/labels.ts'
import { type TaskAsked, taskMeter } from '../../../layers/onnx/evaluate/task.ts'
import { editDistance } from '../../../layers/onnx/evaluate/task-texts.ts'
import type { TensorValue } from '../../../layers/onnx/evaluate/tensors.ts'

const scores = (dims: number[], ...values: number[]): TensorValue => ({
  type: 'float32',
  dims,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
})
const whole = (...values: number[]): TensorValue => ({
  type: 'int64',
  dims: [values.length],
  bytes: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
})
type Row = [label: Label, original: TensorValue, candidate: TensorValue]

/** The task's figures over rows of one output y. */
const judged = (rows: Row[], asked: TaskAsked = {}) => {
  const meter = taskMeter(
    asked,
    { y: rows[0]![1] },
    rows.map(([label]) => label),
  )
  for (const [place, [label, original, candidate]] of rows.entries()) meter.add({ y: original }, { y: candidate }, label, place)
  return meter.figures()
}
const one = (winner: number, classes = 3): TensorValue =>
  scores([1, classes], ...Array.from({ length: classes }, (_, at) => Number(at === winner)))

describe('accuracy', () => {
  it('is the share of rows whose likeliest class is the label, with its loss', () => {
    const rows: Row[] = [
      [0, one(0), one(0)],
      [1, one(1), one(2)],
      [2, one(1), one(2)],
      [2, one(2), one(0)],
    ]
    const { metric, rows: count, original, candidate, loss } = judged(rows)
    expect([metric, count, original.value, candidate.value, loss.value]).toEqual(['accuracy', 4, 0.75, 0.5, 0.25])
    expect(loss.interval[0]).toBeLessThan(0)
    expect(loss.interval[1]).toBeGreaterThan(0.25)
  })

  it.each<[string, Label[], TensorValue[]]>([
    [
      'one-hot labels',
      [
        [0, 1, 0],
        [1, 0, 0],
      ],
      [one(1), one(2)],
    ],
    ['classes an output names itself', [4, 9], [whole(4), whole(3)]],
    ['texts an output answers', ['cat', 'dog'], ['cat', 'cow'].map((text) => ({ type: 'string', dims: [1], texts: [text] }))],
    ['one probability a row', [1, 1], [scores([1, 1], 0.7), scores([1, 1], 0.2)]],
    [
      'positions, some of them nobody’s',
      [
        [1, -100],
        [0, -100],
      ],
      [scores([1, 2, 2], 0, 1, 0, 1), scores([1, 2, 2], 0, 1, 0, 1)],
    ],
    [
      'rows of several samples',
      [
        [0, 1],
        [1, 1],
      ],
      [scores([2, 2], 1, 0, 0, 1), scores([2, 2], 1, 0, 1, 0)],
    ],
  ])('is told from %s', (_, labels, outputs) => {
    const rows = labels.map((label, at): Row => [label, outputs[at]!, outputs[at]!])
    expect(judged(rows)).toMatchObject({ metric: 'accuracy', original: { value: 0.5 }, loss: { value: 0 } })
  })

  it.each<[string, Label, string]>([
    ['beyond the classes', 3, 'Row 1 has the label 3; wanted whole numbers from 0 to 2, the classes of the output'],
    ['below them', -1, 'Row 1 has the label -1; wanted whole numbers from 0 to 2'],
    ['a text', 'cat', 'Row 1 has the label "cat"; wanted numbers of classes'],
    ['too many', [1, 2], 'Row 1 has the label [1,2]; wanted as many labels as the output of shape [1,3] decides'],
  ])('refuses a label that is %s, naming the row', (_, label, reason) => {
    const rows: Row[] = [
      [0, one(0), one(0)],
      [label, one(0), one(0)],
    ]
    expect(() => judged(rows, { metric: 'accuracy' })).toThrow(
      expect.objectContaining({ name: 'ArrayFault', message: expect.stringContaining(reason) }),
    )
  })

  it('says what there is when no output fits, and that a candidate answers otherwise', () => {
    expect(() => judged([[0, scores([1, 2, 2], 1, 2, 3, 4), one(0)]], { metric: 'accuracy' })).toThrow(
      'No output fits the metric accuracy and labels such as 0; got y (float32 [1,2,2])',
    )
    expect(() => judged([[0, one(0), one(0)]], { output: 'z' })).toThrow("The task's output z is none of the model's: y")
    expect(() => judged([[0, one(0), scores([3], 1, 2, 3)]], {})).not.toThrow()
    expect(() => judged([[0, one(0), scores([2, 3], 1, 2, 3, 4, 5, 6)]], {})).toThrow(
      expect.objectContaining({ name: 'RunFault', reason: 'model_error' }),
    )
  })
})

it('F1 is the mean over classes, rare ones as well', () => {
  const labels = [0, 0, 0, 0, 1, 2]
  const answers = [0, 0, 0, 1, 1, 0]
  const rows = labels.map((label, at): Row => [label, one(answers[at]!), one(answers[at]!)])
  // Class 0: precision 3/4, recall 3/4; class 1: 1/2, 1; class 2: never found.
  expect(judged(rows, { metric: 'f1' }).original.value).toBeCloseTo((0.75 + 2 / 3 + 0) / 3, 12)
})

describe('texts', () => {
  const alphabet = ['a', 'b', 'c']
  const steps = (blank: number, ...text: string[]) => {
    const classes = text.map((each) => (each === '-' ? blank : alphabet.indexOf(each) + Number(alphabet.indexOf(each) >= blank)))
    return scores([1, classes.length, 4], ...classes.flatMap((best) => [0, 1, 2, 3].map((at) => (at === best ? 0.9 : 0.03))))
  }

  it.each([0, 2, 3])('are read by CTC with blank %i: repeats once, blanks dropped', (blank) => {
    const read = steps(blank, 'a', 'a', '-', 'a', 'b', 'b', '-')
    const { metric, original, candidate } = judged([['aab', read, steps(blank, 'a', 'b')]], { alphabet, blank })
    expect([metric, original.value, candidate.value]).toEqual(['exact_match', 1, 0])
  })

  it('have a character error rate over all characters, more is worse', () => {
    const rows: Row[] = [
      ['abc', steps(0, 'a', 'b', 'c'), steps(0, 'a', 'c')],
      ['a', steps(0, 'a'), steps(0, 'b')],
    ]
    const { original, candidate, loss } = judged(rows, { metric: 'cer', alphabet })
    expect([original.value, candidate.value, loss.value]).toEqual([0, 0.5, 0.5])
    expect(editDistance([...'kitten'], [...'sitting'])).toBe(3)
  })

  it('are scored along time first where a model answers so', () => {
    const batch_second: TensorValue = { ...steps(0, 'a', 'b'), dims: [2, 1, 4] }
    expect(judged([['ab', batch_second, batch_second]], { alphabet }).original.value).toBe(1)
  })

  it('need an alphabet of the output’s classes', () => {
    const row: Row = ['ab', steps(0, 'a', 'b'), steps(0, 'a', 'b')]
    expect(() => judged([row], { metric: 'cer', output: 'y' })).toThrow('wanted task.alphabet')
    expect(() => judged([row], { alphabet: ['a'], output: 'y' })).toThrow('has 4 classes; wanted float scores of 2')
    expect(() =>
      judged(
        [
          ['ab', row[1], row[2]],
          [3, row[1], row[2]],
        ],
        { metric: 'cer', alphabet },
      ),
    ).toThrow('Row 1 has the label 3; wanted a text')
  })
})

describe('boxes', () => {
  const found = (...boxes: number[][]) => scores([1, boxes.length, 6], ...boxes.flat())

  it('are judged by average precision at half an overlap, mean over classes', () => {
    const label = [
      [0, 0, 10, 10, 0],
      [20, 20, 30, 30, 0],
      [0, 0, 10, 10, 1],
    ]
    // Class 0: right, wrong (a second find of the same box), right → 1·½ + ⅔·½; class 1: too far off.
    const answer = found(
      [0, 0, 10, 11, 0.9, 0],
      [0, 0, 10, 10, 0.8, 0],
      [21, 20, 30, 30, 0.7, 0],
      [6, 6, 16, 16, 0.9, 1],
      [0, 0, 0, 0, 0, 0],
    )
    const { metric, original, candidate } = judged([[label, answer, found([0, 0, 10, 10, 0.9, 1])]])
    expect(metric).toBe('map')
    expect(original.value).toBeCloseTo((0.5 + 0.5 * (2 / 3)) / 2, 12)
    expect(candidate.value).toBe(0.5)
  })

  it('may come as three outputs, and none where none are', () => {
    const outputs = {
      boxes: scores([2, 4], 0, 0, 4, 4, 8, 8, 9, 9),
      scores: scores([2], 0.9, 0.8),
      labels: whole(3, 5),
    }
    const meter = taskMeter({}, outputs, [[[0, 0, 4, 4, 3]], []])
    meter.add(outputs, outputs, [[0, 0, 4, 4, 3]], 0)
    meter.add({ ...outputs, scores: scores([2], 0, 0) }, outputs, [], 1)
    expect(meter.figures()).toMatchObject({ metric: 'map', original: { value: 1 }, candidate: { value: 1 } })
    expect(() => taskMeter({}, { y: one(0) }, [[[0, 0, 4, 4, 3]]])).toThrow('No output fits the metric map')
  })
})

describe('numbers', () => {
  const rows: Row[] = [
    [[1, 2], scores([1, 2], 1, 3), scores([1, 2], 2, 4)],
    [[3, 6], scores([1, 2], 3, 6), scores([1, 2], 3, 6)],
  ]

  it.each<[TaskAsked['metric'], number, number, number]>([
    ['mae', 0.25, 0.75, 0.5],
    ['rmse', Math.sqrt(1 / 4), Math.sqrt(5 / 4), Math.sqrt(5 / 4) - 0.5],
    // Labels vary by 2 · 1² and 2 · 2² about their means.
    ['r2', 0.9, 0.5, 0.4],
  ])('are judged by %s', (metric, original, candidate, loss) => {
    const figures = judged(rows, { metric })
    expect(figures.original.value).toBeCloseTo(original, 12)
    expect(figures.candidate.value).toBeCloseTo(candidate, 12)
    expect(figures.loss.value).toBeCloseTo(loss, 12)
  })

  it('are what labels mean that are no classes of any output', () => {
    expect(judged([[1.5, scores([1, 1], 1), scores([1, 1], 2)]])).toMatchObject({ metric: 'mae', original: { value: 0.5 } })
    expect(judged([[7, scores([1, 1], 8), scores([1, 1], 8)]]).metric).toBe('mae')
  })

  it('that are none in a candidate are its fault', () => {
    expect(() => judged([[1.5, scores([1, 1], 1), scores([1, 1], Number.NaN)]])).toThrow('is no finite number for row 0')
  })
})

describe('divergence', () => {
  const nats = (wanted: TensorValue, got: TensorValue) => {
    const meter = fidelityMeter()
    meter.add({ y: wanted }, { y: got })
    return meter.figures().kl_divergence
  }

  it('is taken of probabilities as they are and of scores through softmax', () => {
    const wanted = 0.5 * Math.log(0.5 / 0.25) + 0.5 * Math.log(0.5 / 0.75)
    expect(nats(scores([1, 2], 0.5, 0.5), scores([1, 2], 0.25, 0.75))).toBeCloseTo(wanted, 6)
    expect(nats(scores([1, 2], 3, 3), scores([1, 2], 1, 1 + Math.log(3)))).toBeCloseTo(wanted, 6)
    expect(nats(scores([1, 2], 30, -3), scores([1, 2], 30, -3))).toBe(0)
  })

  it('stays finite where the candidate calls the truth impossible, and is none without classes', () => {
    expect(nats(scores([1, 2], 1, 0), scores([1, 2], 0, 1))).toBeCloseTo(-Math.log(1e-12), 3)
    expect(nats(scores([2], 1, 0), scores([2], 0, 1))).toBeNull()
  })
})
