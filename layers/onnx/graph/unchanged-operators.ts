/**
 * Operators that only gained types, attributes whose defaults keep the old meaning, or nothing at all between opsets 7 and 21.
 * Two of them read otherwise in the specification than the runtime ever computed, at any opset: OneHot counted negative indices from
 * the end before 11 said so, ConvTranspose put the odd pixel of SAME_UPPER at the end before 11 said so.
 * Source: operator changelog of ONNX, https://github.com/onnx/onnx/blob/main/docs/Changelog.md
 */
export const unchangedOperators: ReadonlySet<string> = new Set(
  (
    'Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Bernoulli BitShift BitwiseAnd BitwiseNot ' +
    'BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad Col2Im Compress Concat ConcatFromSequence Constant ' +
    'ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Det Div ' +
    'DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm ' +
    'GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual HammingWindow HannWindow HardSigmoid HardSwish Identity If ' +
    'ImageDecoder InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log Loop LpNormalization ' +
    'LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul ' +
    'Multinomial Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or ' +
    'PRelu Pow QLinearConv QLinearMatMul QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range ' +
    'Reciprocal RegexFullMatch Relu Reshape ReverseSequence Round STFT ScatterElements ScatterND Selu SequenceAt SequenceConstruct ' +
    'SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size ' +
    'SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth SplitToSequence Sqrt StringConcat StringNormalizer StringSplit Sub Sum Tan ' +
    'Tanh TfIdfVectorizer ThresholdedRelu Tile Transpose Trilu Unique Where Xor'
  ).split(' '),
)
