import { InferenceSession, Tensor } from 'onnxruntime-node'
import { dieWithParent } from './orphan-guard.ts'
import type { LoadRequest, RowsRequest, RunRequest } from './runner.ts'
import { fromTensor, portOf, toTensor } from './session-tensors.ts'
import type { Feeds, TensorValue } from './tensors.ts'

/** The process that loads one model and runs what it is asked. Started by `runner.ts`, killed by it. */

let session: InferenceSession | undefined

async function load(request: LoadRequest) {
  const before = process.memoryUsage().rss
  const started = performance.now()
  session = await InferenceSession.create(request.model_path, {
    executionProviders: ['cpu'],
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: request.level,
    logSeverityLevel: 4,
    extra: { session: { ...(request.exact_int8 ? { x64quantprecision: '1' } : {}), intra_op: { allow_spinning: '0' } } },
  })
  return {
    load_ms: performance.now() - started,
    rss_before_bytes: before,
    inputs: session.inputMetadata.map(portOf),
    outputs: session.outputMetadata.map(portOf),
  }
}

const tensorsOf = (row: Feeds): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, toTensor(value)]))

type Fetched = Awaited<ReturnType<InferenceSession['run']>>
const valuesOf = (answer: Fetched, names: readonly string[]): Record<string, TensorValue> =>
  Object.fromEntries(names.flatMap((name) => (answer[name] instanceof Tensor ? [[name, fromTensor(answer[name])]] : [])))

function loadedSession() {
  if (!session) throw new Error('no model is loaded')
  return { loaded: session, names: session.outputMetadata.filter((output) => output.isTensor).map((output) => output.name) }
}

async function run(request: RunRequest) {
  const { loaded, names } = loadedSession()
  const feeds = tensorsOf(request.feeds)
  for (let warm = 0; warm < request.warm_up; warm += 1) await loaded.run(feeds, names)
  const latencies_ms: number[] = []
  let outputs: Record<string, TensorValue> = {}
  for (let done = 0; done < request.runs; done += 1) {
    const started = performance.now()
    const answer = await loaded.run(feeds, names)
    latencies_ms.push(performance.now() - started)
    if (request.want_outputs && done === request.runs - 1) outputs = valuesOf(answer, names)
  }
  return { latencies_ms, outputs, rss_bytes: process.memoryUsage().rss }
}

async function runRows({ rows }: RowsRequest) {
  const { loaded, names } = loadedSession()
  const outputs: Record<string, TensorValue>[] = []
  for (const row of rows) outputs.push(valuesOf(await loaded.run(tensorsOf(row), names), names))
  return { outputs }
}

const answerTo = (request: LoadRequest | RunRequest | RowsRequest): Promise<object> => {
  if (request.kind === 'load') return load(request)
  return request.kind === 'run' ? run(request) : runRows(request)
}

dieWithParent()
process.on('message', async (request: LoadRequest | RunRequest | RowsRequest) => {
  const { id } = request
  try {
    process.send?.({ id, ok: true, ...(await answerTo(request)) })
  } catch (error) {
    process.send?.({ id, ok: false, detail: error instanceof Error ? error.message : String(error) })
  }
})
