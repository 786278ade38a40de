import * as ort from 'onnxruntime-node'

/** A model of one Identity node, 74 bytes of ONNX (IR 8, opset 13, FP32 [1]), so that nothing need be read from disk. */
const identity = (): Uint8Array => {
  const text = (field: number, value: string): number[] => [(field << 3) | 2, value.length, ...Buffer.from(value)]
  const nested = (field: number, bytes: number[]): number[] => [(field << 3) | 2, bytes.length, ...bytes]
  const type = nested(2, nested(1, [8, 1, ...nested(2, nested(1, [8, 1]))]))
  const value = (field: number, name: string): number[] => nested(field, [...text(1, name), ...type])
  const node = nested(1, [...text(1, 'x'), ...text(2, 'y'), ...text(4, 'Identity')])
  const graph = nested(7, [...node, ...text(2, 'g'), ...value(11, 'x'), ...value(12, 'y')])
  return Uint8Array.from([8, 8, ...graph, ...nested(8, [...text(1, ''), 16, 13])])
}

/**
 * Pays what every first model pays (environment, thread pool, code paths of a session and a run, about 60 ms) before a model is known.
 */
export const warmRuntime = async (): Promise<void> => {
  const session = await ort.InferenceSession.create(identity(), {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  })
  await session.run({ x: new ort.Tensor('float32', new Float32Array(1), [1]) })
  await session.release()
}
