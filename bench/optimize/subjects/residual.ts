import { join } from 'node:path'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import type { ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { intAttr, intsAttr, makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../../layers/onnx/graph/build.ts'
import { normals } from '../normals.ts'
import { floatRows, writeNpz } from '../npz.ts'
import { convolutionTools, type Recipe } from './subject.ts'

/**
 * ResNet-18 (He et al. 2015) with BatchNorm folded, as exporters write it: `x` [batch, 3, 224, 224] → `scores` [batch, 1000]. Weights
 * are random, N(0, 2 ÷ fan-in), those that end a block smaller, so that the sums keep their size: right for size and time only.
 */
export const resNet18 = (): ModelProto => {
  const random = seededRandom(18)
  const nodes: NodeProto[] = []
  const stored: TensorProto[] = []
  const add = (op: string, inputs: string[], attributes: NodeProto['attribute'] = []): string => {
    const output = `${op}_${nodes.length}`
    nodes.push(makeNode(op, inputs, [output], { attributes }))
    return output
  }
  const keep = (name: string, dims: number[], scale: number): string => {
    const count = dims.reduce((product, size) => product * size, 1)
    stored.push(makeTensor(name, dims, normals(random, count, scale)))
    return name
  }
  const conv = (x: string, from: number, to: number, size: number, stride: number, gain = 1): string => {
    const at = nodes.length
    const weight = keep(`weight_${at}`, [to, from, size, size], gain * Math.sqrt(2 / (from * size * size)))
    const pad = Math.floor(size / 2)
    const attributes = [
      intsAttr('kernel_shape', [size, size]),
      intsAttr('strides', [stride, stride]),
      intsAttr('pads', [pad, pad, pad, pad]),
    ]
    return add('Conv', [x, weight, keep(`bias_${at}`, [to], 0.02)], attributes)
  }
  const block = (x: string, from: number, to: number, stride: number): string => {
    const inner = conv(add('Relu', [conv(x, from, to, 3, stride)]), to, to, 3, 1, 0.3)
    const skipped = from === to && stride === 1 ? x : conv(x, from, to, 1, stride, 0.7)
    return add('Relu', [add('Add', [inner, skipped])])
  }
  let x = add(
    'MaxPool',
    [add('Relu', [conv('x', 3, 64, 7, 2)])],
    [intsAttr('kernel_shape', [3, 3]), intsAttr('strides', [2, 2]), intsAttr('pads', [1, 1, 1, 1])],
  )
  for (const [stage, to] of [64, 128, 256, 512].entries()) {
    x = block(x, stage === 0 ? 64 : to / 2, to, stage === 0 ? 1 : 2)
    x = block(x, to, to, 1)
  }
  const pooled = add('Flatten', [add('GlobalAveragePool', [x])], [intAttr('axis', 1)])
  const inputs = [pooled, keep('classes', [1000, 512], 0.1), keep('classes_bias', [1000], 0.02)]
  nodes.push(makeNode('Gemm', inputs, ['scores'], { attributes: [intAttr('transB', 1)] }))
  return makeModel(
    makeGraph({
      nodes,
      inputs: [makeValueInfo('x', DataType.FLOAT, ['batch', 3, 224, 224])],
      outputs: [makeValueInfo('scores', DataType.FLOAT, ['batch', 1000])],
      initializers: stored,
    }),
  )
}

/** Pictures of a few soft waves and some noise: neighbouring pixels agree, as in photographs, which white noise does not. */
const pictures = (count: number, seed: number): Float32Array[] => {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => {
    const picture = normals(random, 3 * 224 * 224, 0.1)
    for (let wave = 0; wave < 6; wave += 1) {
      const [across, down, phase, height] = [random() * 0.2, random() * 0.2, random() * 6.3, random()]
      const channel = Math.floor(random() * 3)
      for (let y = 0; y < 224; y += 1)
        for (let x = 0; x < 224; x += 1) {
          const at = (channel * 224 + y) * 224 + x
          picture[at] = (picture[at] ?? 0) + height * Math.sin(across * x + down * y + phase)
        }
    }
    return picture
  })
}

export const resNetRecipe: Recipe = {
  name: 'resnet-18',
  version: 2,
  make: async (folder) => {
    const at = (name: string): string => join(folder, name)
    writeModelFile(resNet18(), at('model.onnx'))
    writeNpz(at('calibration.npz'), { x: floatRows(pictures(64, 1), [3, 224, 224]) })
    writeNpz(at('evaluation.npz'), { x: floatRows(pictures(64, 2), [3, 224, 224]) })
    return {
      name: 'resnet-18',
      title: 'ResNet-18 shape',
      model_path: at('model.onnx'),
      calibration_path: at('calibration.npz'),
      evaluation_path: at('evaluation.npz'),
      // Random weights decide nothing; what is kept is the signal.
      metadata: { class_output: null, accuracy_gate: { sqnr_db: 20 } },
      target_speed_up: 2,
      budget_s: 60,
      peers: convolutionTools,
      peer_rows: 8,
    }
  },
}
