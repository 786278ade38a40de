import * as ort from 'onnxruntime-node'

/** A process that loads the model file it is given and ends: status 0 when the runtime accepts it, else the reason on stderr. */
const path = process.argv[2] ?? ''
try {
  // Without optimisation nothing of the model is computed while loading, so a hostile constant costs nothing here.
  const session = await ort.InferenceSession.create(path, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  await session.release()
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
