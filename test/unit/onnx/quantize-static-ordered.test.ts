import { describe, expect, it } from 'vitest'
import { observe, rangesOf } from '../../../layers/onnx/calibrate/calibrate.ts'
import { tensorFloats, tensorValues } from '../../../layers/onnx/codec/tensor-values.ts'
import { intAttr, intsAttr, makeNode, makeTensor } from '../../../layers/onnx/graph/build.ts'
import { mainGraph, walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { productGrams } from '../../../layers/onnx/quantize/static/product-grams.ts'
import { quantizeStatic } from '../../../layers/onnx/quantize/static/quantize-static.ts'
import { defaultStaticSettings, type StaticSettings } from '../../../layers/onnx/quantize/static/settings.ts'
import { copyOf, model, seededGraphs, sqnrOf } from './seeded-graphs.ts'

const { weight, sample } = seededGraphs(23)
const padded = [intsAttr('pads', [1, 1, 1, 1])]

describe('static quantization', () => {
  it.each([
    {
      what: 'Gemm',
      dims: [64, 48],
      node: makeNode('Gemm', ['x', 'w'], ['y'], { attributes: [intAttr('transB', 1)] }),
      w: [24, 48],
    },
    { what: 'MatMul', dims: [64, 48], node: makeNode('MatMul', ['x', 'w'], ['y']), w: [48, 24] },
    {
      what: 'a strided, padded Conv',
      dims: [1, 6, 24, 24],
      node: makeNode('Conv', ['x', 'w'], ['y'], { attributes: [...padded, intsAttr('strides', [2, 2])] }),
      w: [24, 6, 3, 3],
    },
  ])('rounds the weights of $what in order of their effect, where the inputs go together', async ({ dims, node, w }) => {
    const original = model([node], [weight('w', w)], dims)
    const together = () => {
      const feeds = sample(dims)
      const x = feeds.x
      if (!x || 'texts' in x) throw new Error('wanted numbers')
      const values = new Float32Array(x.bytes.buffer)
      for (let at = 1; at < values.length; at++) values[at] = 0.95 * values[at - 1]! + 0.3 * values[at]!
      return feeds
    }
    const samples = Array.from({ length: 6 }, together)
    const grams = await productGrams(copyOf(original), samples.slice(0, 5))
    // What comes in and out keeps 8 bits, so 7-bit weights are most of the error.
    const settings = { weight_type: 's7' as const, op_types_to_quantize: [node.op_type ?? ''] }
    const weightNoise = async (more: Partial<StaticSettings>) => {
      const changed = copyOf(original)
      const ranges = rangesOf(await observe(copyOf(original), samples), { method: 'min_max' })
      quantizeStatic(changed, ranges, { ...defaultStaticSettings, ...settings, ...more })
      // The weights alone, put back as floats: what they change in unseen outputs.
      const tensors = new Map([...walkTensors(changed)].map((tensor) => [tensor.name, tensor]))
      const [codes, scales] = [tensorValues(tensors.get('w_quantized')!), tensorFloats(tensors.get('w_scale')!)]
      const inner = node.op_type === 'MatMul' ? 1 : codes.length / scales.length
      const floats = Float32Array.from(
        { length: codes.length },
        (_, at) => Number(codes[at]) * scales[Math.floor(at / inner) % scales.length]!,
      )
      const restored = copyOf(original)
      mainGraph(restored).initializer = [makeTensor('w', w, floats)]
      return sqnrOf(original, restored, samples.slice(5))
    }
    expect(await weightNoise({ grams })).toBeGreaterThan((await weightNoise({})) + 3)
  })
})
