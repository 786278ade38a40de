/** What a file is declared to be by whoever uploads it. */
export type Framework = 'onnx' | 'tensorflow' | 'pytorch'

/** One input or output: a dimension is a number, a symbol's name, or null where nothing is known. */
export interface TensorSpec {
  name: string
  /** Open Inference Protocol datatype, e.g. FP32; or the ONNX type text when it is no tensor. */
  datatype: string
  shape: (number | string | null)[]
}

/** What was learnt by reading a file; members are absent where the format does not tell. The platform's own schema has this shape. */
export interface FileInspection {
  format: string
  ir_version?: number
  producer?: string
  opsets?: Record<string, number>
  inputs?: TensorSpec[]
  outputs?: TensorSpec[]
  parameter_count?: number
  parameter_bytes?: number
  /** Histogram of operators, sub-graphs and functions included; other domains than the default one as `domain.Name`. */
  operators?: Record<string, number>
  /** Multiply-adds × 2 of one run with every free dimension at 1; null when shapes do not tell. */
  flops?: number | null
  /** Stored tensors of 1,024 elements and more by the operator that reads them (DepthwiseConv apart), the rest as `other`. */
  weights?: Record<string, { elements: number; bytes: number; channels?: number }>
  /** Of the file, what is no stored tensor: operators, names, shapes. */
  graph_bytes?: number
  external_data?: string[]
  /** Every input and output has a free first dimension. */
  batchable?: boolean
  notes?: string[]
}
