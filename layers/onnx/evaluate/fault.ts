/**
 * Why a model could not be run apart. `timeout`: killed by the wall clock; `memory`: killed by the memory limit;
 * `crashed`: the process died by itself; `model_error`: the runtime refused the model or this input.
 */
export type RunFaultReason = 'timeout' | 'memory' | 'crashed' | 'model_error'

export class RunFault extends Error {
  readonly reason: RunFaultReason

  constructor(reason: RunFaultReason, detail: string) {
    super(detail)
    this.name = 'RunFault'
    this.reason = reason
  }
}

export const isRunFault = (error: unknown, reason?: RunFaultReason): error is RunFault =>
  error instanceof RunFault && (reason === undefined || error.reason === reason)
