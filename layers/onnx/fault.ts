/** What can be wrong with a model file. The compiler knows nothing of the platform; its callers translate these codes. */
export type OnnxFaultCode =
  /** No bytes at all. */
  | 'empty'
  /** Not the format it should be, or the format's own rules are broken. */
  | 'not_a_model'
  /** The file ends before what it announces; the detail says at which byte. */
  | 'truncated'
  /** Well-formed, but beyond what the runtime or this codec accepts. */
  | 'unsupported'
  /** Content that could harm whoever opens it: path traversal, archive bombs. */
  | 'unsafe'
  /** An operator of a domain that no runtime here implements. */
  | 'unknown_domain'
  /** Weights live in other files that were not supplied. */
  | 'external_data_missing'
  /** A pass that would change nothing of this model. */
  | 'nothing_to_do'
  /** The declared framework is not what the content shows. */
  | 'framework_mismatch'

/** The one error of `layers/onnx`. `detail` says what, got, wanted, and names the byte, node or tensor. */
export class OnnxFault extends Error {
  readonly code: OnnxFaultCode
  readonly detail: string

  constructor(code: OnnxFaultCode, detail: string, cause?: unknown) {
    super(detail, { cause })
    this.name = 'OnnxFault'
    this.code = code
    this.detail = detail
  }
}

export const isOnnxFault = (error: unknown, code?: OnnxFaultCode): error is OnnxFault =>
  error instanceof OnnxFault && (code === undefined || error.code === code)
