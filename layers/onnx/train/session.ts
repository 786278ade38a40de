import { InferenceSession } from 'onnxruntime-node'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'

/**
 * A session for training and what belongs to it. Fake quantization stays as written: fused into integer kernels it would neither
 * train nor be float. Squares of small gradients are denormal, and a hundred times slower than the 0 they might as well be; the
 * calling thread takes that setting from the first session of its process, so all of them have it. Threads that wait do not spin:
 * models are served beside the training.
 */
export const openSession = (
  model: ModelProto,
  options: { threads?: number; level?: 'disabled' | 'all' } = {},
): Promise<InferenceSession> =>
  InferenceSession.create(encodeModel(model), {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: options.level ?? 'all',
    logSeverityLevel: 4,
    extra: { session: { disable_quant_qdq: '1', set_denormal_as_zero: '1', intra_op: { allow_spinning: '0' } } },
  })
