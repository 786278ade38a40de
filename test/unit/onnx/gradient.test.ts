import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import type { ModelProto, NodeProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import {
  graphAttr,
  intAttr,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
  stringAttr,
} from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { impassable, ruled } from '../../../layers/onnx/train/differentiable.ts'
import { gradient, gradientRules } from '../../../layers/onnx/train/gradient.ts'
import { valueFacts } from '../../../layers/onnx/train/values.ts'
import { caseOf, elementCases, type GradientCase, node } from './gradient-cases.ts'
import { furtherCases } from './gradient-further-cases.ts'
import { layerCases } from './gradient-layer-cases.ts'

const STEP = 0.008
const sizeOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)

/** Different numbers, evenly spread and shuffled: no two are equal or near a kink at a round number. `at` moves those of each parameter. */
const spreadValues = (count: number, [low, high]: [number, number], at: number, random: () => number): Float32Array => {
  const values = Float32Array.from({ length: count }, (_, each) => low + ((high - low) * (each + 0.37 + 0.27 * at)) / count)
  for (let each = count - 1; each > 0; each--) {
    const other = Math.floor(random() * (each + 1))
    ;[values[each], values[other]] = [values[other]!, values[each]!]
  }
  return values
}

interface Parameter {
  name: string
  dims: number[]
  data: Float32Array
}

const parametersOf = ({ parameters, range }: GradientCase, random: () => number): Parameter[] =>
  Object.entries(parameters).map(([name, dims], at) => ({
    name,
    dims,
    data: spreadValues(sizeOf(dims), range ?? [-1.5, 1.5], at, random),
  }))

const modelOf = (subject: GradientCase, nodes: NodeProto[], parameters: readonly Parameter[]): ModelProto =>
  makeModel(
    makeGraph({
      nodes,
      inputs: parameters.map(({ name, dims }) => makeValueInfo(name, 1, dims)),
      outputs: [makeValueInfo('y', 1)],
      initializers: [...(subject.constants ?? [])],
    }),
    { opsets: { '': subject.opset ?? 17 } },
  )

/** Adds loss = Σ y·weights and its gradients; answers the names of these by parameter. */
const differentiate = async (
  model: ModelProto,
  parameters: readonly Parameter[],
  weights: Float32Array,
  dims: readonly number[],
) => {
  const graph = mainGraph(model)
  graph.initializer.push(makeTensor('loss_weights', dims, weights))
  graph.node.push(
    makeNode('Mul', ['y', 'loss_weights'], ['weighted']),
    makeNode('ReduceSum', ['weighted'], ['loss'], { attributes: [intAttr('keepdims', 0)] }),
  )
  const feeds = parameters.map(({ name, dims: shape, data }) => [
    name,
    { type: 'float32', dims: shape, bytes: new Uint8Array(data.buffer) },
  ])
  const names = parameters.map(({ name }) => name)
  const found = gradient(graph, 'loss', names, await valueFacts(model, Object.fromEntries(feeds)))
  graph.output = [...found.values()].map((name) => makeValueInfo(name, 1))
  return found
}

const open = (model: ModelProto) => ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1 })

/** Central differences of fourth order: (8·(f₊₁ − f₋₁) − (f₊₂ − f₋₂)) ÷ 12h. */
const finiteDifference = async (data: Float32Array, at: number, loss: () => Promise<number>): Promise<number> => {
  const centre = data[at]!
  const values: number[] = []
  for (const steps of [1, -1, 2, -2]) {
    data[at] = centre + steps * STEP
    values.push(await loss())
  }
  data[at] = centre
  const step = (Math.fround(centre + STEP) - Math.fround(centre - STEP)) / 2
  return (8 * (values[0]! - values[1]!) - (values[2]! - values[3]!)) / (12 * step)
}

/** Largest |gradient − finite difference| ÷ max(1, |difference|) over every element of every parameter. */
const worstError = async (subject: GradientCase): Promise<number> => {
  const random = seededRandom(subject.name.length * 31 + 7)
  const parameters = parametersOf(subject, random)
  const session = await open(modelOf(subject, structuredClone(subject.nodes), parameters))
  const feeds = Object.fromEntries(parameters.map(({ name, dims, data }) => [name, new ort.Tensor('float32', data, dims)]))
  const y = (await session.run(feeds)).y!
  const weights = Float32Array.from({ length: y.size }, () => random() * 2 - 1)
  // Summed here in double precision, where the noise of a float32 sum would hide the error looked for.
  const loss = async (): Promise<number> => {
    const { data } = (await session.run(feeds)).y!
    return weights.reduce((total, weight, at) => total + weight * Number(data[at]), 0)
  }
  const training = modelOf(subject, structuredClone(subject.nodes), parameters)
  const found = await differentiate(training, parameters, weights, y.dims)
  const backward = await open(training)
  const answers = await backward.run(feeds)
  let worst = 0
  for (const { name, dims, data } of parameters) {
    const answer = answers[found.get(name) ?? '']
    expect(answer?.dims, `${subject.name}: gradient of ${name}`).toEqual(dims)
    for (let at = 0; at < data.length; at++) {
      const difference = await finiteDifference(data, at, loss)
      const error = Math.abs(Number(answer?.data[at]) - difference) / Math.max(1, Math.abs(difference))
      worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error)
    }
  }
  await Promise.all([session.release(), backward.release()])
  return worst
}

const cases = [...elementCases, ...layerCases, ...furtherCases]
const straight_through = ['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear']

describe('gradients against central finite differences', () => {
  it.each(cases)('$name', async (subject) => {
    expect(await worstError(subject)).toBeLessThan(1e-4)
  })

  it('checks every operator that has a rule and a slope', () => {
    const checked = new Set([...straight_through, ...cases.flatMap(({ nodes }) => nodes.map((each) => each.op_type ?? ''))])
    expect(Object.keys(gradientRules).filter((op) => !checked.has(op))).toEqual([])
  })
})

describe('the list of operators that training can pass', () => {
  it('is that of the rules', () => {
    expect([...ruled].sort()).toEqual(Object.keys(gradientRules).sort())
    expect(impassable({ Gemm: 2, Relu: 1, Shape: 1, Constant: 9, If: 1 })).toEqual([])
    expect(impassable({ Gemm: 2, LSTM: 1, 'com.microsoft.Gelu': 3, Loop: 1 })).toEqual(['LSTM', 'com.microsoft.Gelu', 'Loop'])
  })
})

describe('what cannot be differentiated', () => {
  const refusal = async (nodes: NodeProto[], constants: GradientCase['constants'] = []): Promise<string> => {
    const subject = caseOf('refused', nodes, { x: [2, 2] }, { constants })
    const parameters = parametersOf(subject, seededRandom(1))
    const model = modelOf(subject, nodes, parameters)
    return differentiate(model, parameters, new Float32Array(4), [2, 2]).then(
      () => 'differentiated',
      (error: Error) => error.message,
    )
  }

  it('is refused by the name of its node', async () => {
    const inverse = makeNode('Det', ['x'], ['d'], { name: 'the determinant' })
    expect(await refusal([inverse, node('Mul', ['x', 'd'])])).toBe('Node "the determinant" (Det) has no gradient rule')
    const foreign = makeNode('Gelu', ['x'], ['y'], { name: 'fused', domain: 'com.microsoft' })
    expect(await refusal([foreign])).toBe('Node "fused" (Gelu) of domain com.microsoft has no gradient rule')
    const mirrored = makeNode('Pad', ['x', 'p'], ['y'], { name: 'mirror', attributes: [stringAttr('mode', 'reflect')] })
    expect(await refusal([mirrored], [makeTensor('p', [4], new BigInt64Array(4))])).toBe(
      'Node "mirror" (Pad) cannot be differentiated: its mode is not constant',
    )
  })

  it('is a branch, even where only its inside reads the parameter', async () => {
    const branch = makeGraph({ name: 'b', nodes: [makeNode('Neg', ['x'], ['n'])], outputs: [makeValueInfo('n', 1)] })
    const choice = makeNode('If', ['flag'], ['y'], {
      name: 'choice',
      attributes: [graphAttr('then_branch', branch), graphAttr('else_branch', branch)],
    })
    expect(await refusal([choice], [makeTensor('flag', [], Uint8Array.of(1), 9)])).toBe('Node "choice" (If) has no gradient rule')
  })

  it('does not matter beside the path to the loss', async () => {
    const subject = caseOf('beside', [makeNode('Det', ['x'], ['unread']), node('Exp', ['x'])], { x: [2, 2], other: [3] })
    const parameters = parametersOf(subject, seededRandom(1))
    const found = await differentiate(modelOf(subject, subject.nodes, parameters), parameters, new Float32Array(4), [2, 2])
    expect([...found.keys()]).toEqual(['x'])
  })
})
