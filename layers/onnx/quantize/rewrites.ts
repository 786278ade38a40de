import { DataType } from '../codec/data-types.ts'
import type { NodeProto, TensorProto } from '../codec/schema.ts'
import { tensorFloats } from '../codec/tensor-values.ts'
import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import { intAttr, intsAttr, makeNode, makeTensor, scalarTensor } from '../graph/build.ts'
import type { Gram } from './nbits/gptq.ts'
import { quantizeAlong } from './static/weight.ts'
import type { Target } from './targets.ts'
import { type QuantizedWeights, quantizeColumns, quantizeRows, type WeightType, zeroPoint } from './weights.ts'

/** What rewrites share: fresh names, new initializers, and tensors already made for a weight that several nodes read. */
export interface RewriteContext {
  weight_type: WeightType
  per_channel: boolean
  /** By first output of a product: its weights are rounded in order. */
  grams?: ReadonlyMap<string, Gram> | undefined
  /** ONNX operators; else com.microsoft's, for models whose operator set cannot be raised. */
  standard: boolean
  freshName(base: string): string
  addInitializer(tensor: TensorProto): void
  /** The same value for the same tensor and form. */
  once(weight: TensorProto, form: string, make: () => StoredWeight): StoredWeight
  /** Names of the quantized activation, its scale and zero point; the node that makes them comes with the first call per graph. */
  activation(target: Target): { nodes: NodeProto[]; quantized: string; scale: string; zero: string }
}

/** Names of the initializers that hold a quantized weight; `zero` is '' where it is 0. */
export interface StoredWeight {
  quantized: string
  scale: string
  zero: string
}

/** The nodes that stand for a target from now on; the last one makes the target's output. */
export function rewrite(target: Target, context: RewriteContext): NodeProto[] {
  switch (target.kind) {
    case 'MatMul':
      return matMul(target, context)
    case 'Gemm':
      return gemm(target, context)
    case 'Gather':
      return gather(target, context)
    case 'Conv':
      return conv(target, context)
  }
}

const output = (node: NodeProto): string => node.output[0] ?? ''

function store(
  context: RewriteContext,
  weight: TensorProto,
  dims: number[],
  made: { values: Int8Array | Uint8Array; scales: Float32Array },
  scale_dims: number[],
): StoredWeight {
  const base = weight.name || 'weight'
  const quantized = context.freshName(`${base}_int8`)
  const scale = context.freshName(`${base}_scale`)
  context.addInitializer(makeTensor(quantized, dims, made.values))
  context.addInitializer(makeTensor(scale, scale_dims, made.scales))
  const zero = made.values instanceof Uint8Array ? context.freshName(`${base}_zero`) : ''
  if (zero) context.addInitializer(makeTensor(zero, [], Uint8Array.of(zeroPoint('u8'))))
  return { quantized, scale, zero }
}

/** int32 sums to floats: `Mul(Cast(sums), activation scale · weight scale)`, the pattern that onnxruntime fuses with the product. */
function dequantize(
  context: RewriteContext,
  sums: string,
  scales: [activation: string, weight: string],
  result: string,
): NodeProto[] {
  const floats = context.freshName(`${result}_float`)
  const scale = context.freshName(`${result}_scale`)
  return [
    makeNode('Cast', [sums], [floats], { attributes: [intAttr('to', DataType.FLOAT)] }),
    makeNode('Mul', scales, [scale]),
    makeNode('Mul', [floats, scale], [result]),
  ]
}

/** com.microsoft.DynamicQuantizeMatMul: floats in, floats out, no operator set needed. */
const contribProduct = (input: string, weight: StoredWeight, result: string): NodeProto[] => [
  makeNode('DynamicQuantizeMatMul', [input, weight.quantized, weight.scale, ...(weight.zero ? [weight.zero] : [])], [result], {
    domain: 'com.microsoft',
  }),
]

function integerProduct(
  target: Target,
  context: RewriteContext,
  op: { type: string; node: NodeProto },
  weight: StoredWeight,
  result: string,
): NodeProto[] {
  if (!context.standard) return contribProduct(target.node.input[0] ?? '', weight, result)
  const { nodes, quantized, scale, zero } = context.activation(target)
  const sums = context.freshName(`${result}_int32`)
  const inputs = [quantized, weight.quantized, zero, ...(weight.zero ? [weight.zero] : [])]
  const product = { ...makeNode(op.type, inputs, [sums]), attribute: op.node.attribute }
  return [...nodes, product, ...dequantize(context, sums, [scale, weight.scale], result)]
}

/** Lends a weight's floats. What was read from the file for it is given back at once: the collector lets hundreds of megabytes gather first. */
function withFloats<T>(weight: TensorProto, use: (floats: Float32Array) => T): T {
  const floats = tensorFloats(weight)
  const made = use(floats)
  if (weight.ranges?.raw_data && floats.buffer instanceof ArrayBuffer) floats.buffer.transfer(0)
  return made
}

/** [rows, columns] of a product's weight, rounded in order where its inputs are known, else each to the nearest. */
function columnsOf(
  { node, weight }: Target,
  { grams, per_channel, weight_type }: RewriteContext,
  shape: { rows: number; columns: number; transposed: boolean },
): QuantizedWeights {
  const gram = per_channel ? grams?.get(output(node)) : undefined
  if (!gram) return withFloats(weight, (floats) => quantizeColumns(floats, { ...shape, alike: !per_channel }, weight_type))
  const { rows, columns, transposed } = shape
  const { values, scales } = quantizeAlong(weight, transposed ? 0 : 1, weight_type, { gram })
  if (!transposed) return { values, scales }
  const turned = values.slice()
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) turned[row * columns + column] = values[column * rows + row]!
  return { values: turned, scales }
}

function matMul(target: Target, context: RewriteContext): NodeProto[] {
  const { node, weight } = target
  const [rows = 0, columns = 0] = weight.dims
  const stored = context.once(weight, 'columns', () =>
    store(context, weight, [rows, columns], columnsOf(target, context, { rows, columns, transposed: false }), [columns]),
  )
  return integerProduct(target, context, { type: 'MatMulInteger', node: { ...node, attribute: [] } }, stored, output(node))
}

/** Y = alpha · A' · B' + beta · C with A' and B' maybe transposed: alpha goes into the weight's scale, beta into C. */
function gemm(target: Target, context: RewriteContext): NodeProto[] {
  const { node, weight } = target
  const transposed = intAttribute(node, 'transB', 0) !== 0
  const alpha = floatAttribute(node, 'alpha', 1)
  const [first = 0, second = 0] = weight.dims
  const [rows, columns] = transposed ? [second, first] : [first, second]
  const stored = context.once(weight, `columns ${transposed} ${alpha}`, () => {
    const made = columnsOf(target, context, { rows, columns, transposed })
    return store(context, weight, [rows, columns], { ...made, scales: made.scales.map((scale) => scale * alpha) }, [columns])
  })
  const bias = node.input[2] ?? ''
  const product = bias === '' ? output(node) : context.freshName(`${output(node)}_product`)
  const before: NodeProto[] = []
  let product_target = target
  if (intAttribute(node, 'transA', 0) !== 0) {
    const turned = context.freshName(`${node.input[0]}_turned`)
    before.push(makeNode('Transpose', [node.input[0] ?? ''], [turned], { attributes: [intsAttr('perm', [1, 0])] }))
    product_target = { ...target, node: { ...node, input: [turned, ...node.input.slice(1)] } }
  }
  const nodes = [
    ...before,
    ...integerProduct(product_target, context, { type: 'MatMulInteger', node: { ...node, attribute: [] } }, stored, product),
  ]
  return bias === '' ? nodes : [...nodes, ...addBias(context, product, bias, floatAttribute(node, 'beta', 1), output(node))]
}

function addBias(context: RewriteContext, product: string, bias: string, beta: number, result: string): NodeProto[] {
  if (beta === 1) return [makeNode('Add', [product, bias], [result])]
  const factor = context.freshName(`${result}_beta`)
  const scaled = context.freshName(`${result}_bias`)
  context.addInitializer(scalarTensor(factor, beta))
  return [makeNode('Mul', [bias, factor], [scaled]), makeNode('Add', [product, scaled], [result])]
}

/**
 * An embedding: int8 rows with a scale per row, both gathered, multiplied only for the rows that were asked for. Rows differ in
 * size far more than columns do, so this keeps more than one scale per table or per column would.
 */
function gather(target: Target, context: RewriteContext): NodeProto[] {
  const { node, weight } = target
  const [rows = 0] = weight.dims
  const type = context.weight_type === 'u8' ? 's8' : context.weight_type
  const stored = context.once(weight, 'rows', () =>
    store(
      context,
      weight,
      weight.dims,
      withFloats(weight, (floats) => quantizeRows(floats, rows, type)),
      [rows, 1],
    ),
  )
  const indices = node.input[1] ?? ''
  const result = output(node)
  const [picked, scale, floats] = [
    context.freshName(`${result}_int8`),
    context.freshName(`${result}_scale`),
    context.freshName(`${result}_float`),
  ]
  return [
    { ...makeNode('Gather', [stored.quantized, indices], [picked]), attribute: node.attribute },
    { ...makeNode('Gather', [stored.scale, indices], [scale]), attribute: node.attribute },
    makeNode('Cast', [picked], [floats], { attributes: [intAttr('to', DataType.FLOAT)] }),
    makeNode('Mul', [floats, scale], [result]),
  ]
}

/** Weights as u8 whatever was asked: ConvInteger has no fast kernel for s8 ones (4–5 times slower than floats). */
function conv(target: Target, context: RewriteContext): NodeProto[] {
  const { node, weight } = target
  const [channels = 0, , ...spatial] = weight.dims
  const per_channel = [channels, ...spatial.map(() => 1)]
  const stored = context.once(weight, 'channels', () =>
    store(
      context,
      weight,
      weight.dims,
      withFloats(weight, (floats) => quantizeRows(floats, channels, 'u8', !context.per_channel)),
      per_channel,
    ),
  )
  const bias = node.input[2] ?? ''
  const product = bias === '' ? output(node) : context.freshName(`${output(node)}_product`)
  const nodes = integerProduct(target, context, { type: 'ConvInteger', node }, stored, product)
  if (bias === '') return nodes
  const shape = context.freshName(`${output(node)}_bias_shape`)
  const shaped = context.freshName(`${output(node)}_bias`)
  context.addInitializer(makeTensor(shape, [spatial.length + 1], BigInt64Array.from([-1, ...spatial.map(() => 1)], BigInt)))
  return [...nodes, makeNode('Reshape', [bias, shape], [shaped]), makeNode('Add', [product, shaped], [output(node)])]
}
