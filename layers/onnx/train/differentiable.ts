/**
 * Operators of the default domain that training can pass through: those with a gradient rule (`gradient.ts`) and those whose results do
 * not move with small changes. A list of names alone, for who only wants to know.
 */
const RULES =
  'Abs Add AveragePool BatchNormalization Cast Celu Clip Concat Conv ConvTranspose Cos DepthToSpace DequantizeLinear Div Dropout ' +
  'DynamicQuantizeLinear Einsum Elu Erf Exp Expand Flatten Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool ' +
  'GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax ' +
  'LpNormalization MatMul Max MaxPool Mean Min Mish Mul Neg PRelu Pad Pow QuantizeLinear Reciprocal ReduceL2 ReduceLogSumExp ' +
  'ReduceMax ReduceMean ReduceMin ReduceSum ReduceSumSquare Relu Reshape Resize Selu Sigmoid Sin Slice Softmax Softplus Softsign ' +
  'SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile Transpose Unsqueeze Where'

export const ruled: readonly string[] = RULES.split(' ')

/** Nothing flows back through these. */
export const flat: readonly string[] = (
  'And ArgMax ArgMin Ceil Constant ConstantOfShape Equal EyeLike Floor Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual NonZero ' +
  'Not OneHot Or Range Round Shape Sign Size TopK Xor'
).split(' ')

const passable: ReadonlySet<string> = new Set([...ruled, ...flat])

/**
 * The operators of a histogram that training cannot pass. `If` is not among them: exporters leave branches on constants behind, which
 * folding removes; one that stays is refused by the name of its node when training is set up.
 */
export const impassable = (operators: Readonly<Record<string, number>>): string[] =>
  Object.keys(operators).filter((name) => name !== 'If' && !passable.has(name))
