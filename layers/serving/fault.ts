/** What the serving core answers when a call cannot be served; rendered as `{"error", "code"}`, the protocol's error body. */
export class ServingFault extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, detail: string) {
    super(detail)
    this.name = 'ServingFault'
    this.status = status
    this.code = code
  }
}

/** The caller's mistake: 400. */
export const badRequest = (detail: string): ServingFault => new ServingFault(400, 'bad_request', detail)

export const errorBody = (code: string, detail: string): Buffer => Buffer.from(JSON.stringify({ error: detail, code }))

/** Anything thrown while serving, as status and body. The model's own refusal of an input is 422 `model_error`. */
export const renderFault = (error: unknown): { status: number; body: Buffer } => {
  if (error instanceof ServingFault) return { status: error.status, body: errorBody(error.code, error.message) }
  const detail = error instanceof Error ? error.message : String(error)
  return { status: 422, body: errorBody('model_error', `the model could not run this input: ${detail}`) }
}
