import { stat } from 'node:fs/promises'
import { type Client, signIn } from './demo/client.ts'
import { startHost } from './demo/host.ts'
import { decode, modelPath, render, width } from './demo/words.ts'

/**
 * The main job on a trained text-recognition model: upload → inspect → optimise → deploy → read words → sleep → wake → cost.
 * Against `AIDEPLOY_URL` (with `AIDEPLOY_ADMIN_PASSWORD`, user `admin`), or a platform of its own.
 */

const words = [
  'serverless',
  'hibernate',
  'Deployment 42',
  'quantize me',
  'COST FIRST',
  'read this word',
  'Wake up at 7',
  'Latency 23 ms',
  'two for one',
  'Open Inference',
]
const rounds = 60

interface Deployment {
  id: string
  name: string
  status: string
  status_reason: string | null
  endpoint: string
}

interface Optimized {
  id: string
  status: string
  size_reduction_percentage: number | null
  latency_reduction_percentage: number | null
  accuracy_change_percentage: number | null
  size_bytes: number
  metadata: { error?: string }
  attempts: {
    name: string
    verdict: string
    reason: string
    fidelity?: { sqnr_db: number | null; top1_agreement: number | null }
    original?: { p50_ms: number; p95_ms: number }
    candidate?: { p50_ms: number; p95_ms: number }
  }[]
}

const step = async <Result>(title: string, run: () => Promise<Result>, tell: (result: Result) => string): Promise<Result> => {
  process.stdout.write(`  … ${title}`)
  const started_ms = performance.now()
  const result = await run()
  process.stdout.write(
    `\r\x1b[K  ✓ ${title.padEnd(34)} ${tell(result)}  (${((performance.now() - started_ms) / 1000).toFixed(1)} s)\n`,
  )
  return result
}

const until = async <Thing extends { status: string }>(read: () => Promise<Thing>, done: readonly string[]): Promise<Thing> => {
  for (let waited_ms = 0; waited_ms < 600_000; waited_ms += 100) {
    const thing = await read()
    if (done.includes(thing.status)) return thing
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`Still not ${done.join(' or ')} after 10 minutes`)
}

const deploy = async (client: Client, name: string, model_id: string, model_type: string): Promise<Deployment> => {
  const { id } = await client.call<Deployment>('POST', '/deployments', {
    name,
    model_id,
    model_type,
    deployment_type: 'serverless',
    resource_requirements: { cpu: '1', memory: '1Gi', timeout: 30 },
  })
  const deployment = await until(() => client.call<Deployment>('GET', `/deployments/${id}`), ['active', 'failed'])
  if (deployment.status === 'failed') throw new Error(`${name} failed: ${deployment.status_reason}`)
  return deployment
}

const read = async (client: Client, { endpoint, name }: Deployment, word: string): Promise<string> => {
  const { shape, data } = await client.infer(endpoint, name, { name: 'x', shape: [1, 3, 48, width], data: render(word) })
  return decode(data, shape[2] ?? 1).trim()
}

const timed = async (run: () => Promise<unknown>): Promise<number> => {
  const started_ms = performance.now()
  await run()
  return performance.now() - started_ms
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN

/** Both deployments answer in turn, so that a busy moment of the machine meets both. */
const race = async (
  client: Client,
  deployments: readonly Deployment[],
): Promise<{ read: number; p50_ms: number; p95_ms: number }[]> => {
  const times = deployments.map((): number[] => [])
  const right = deployments.map(() => 0)
  for (let round = 0; round < rounds; round++)
    for (const [at, deployment] of deployments.entries()) {
      const word = words[round % words.length] ?? ''
      const started_ms = performance.now()
      const seen = await read(client, deployment, word)
      times[at]?.push(performance.now() - started_ms)
      if (seen === word) right[at] = (right[at] ?? 0) + 1
    }
  return times.map((list, at) => {
    const sorted = list.toSorted((a, b) => a - b)
    return { read: (right[at] ?? 0) / rounds, p50_ms: quantile(sorted, 0.5), p95_ms: quantile(sorted, 0.95) }
  })
}

const sleepAndWake = async (client: Client, deployment: Deployment): Promise<number> => {
  await client.call('POST', `/deployments/${deployment.id}/hibernate`)
  await new Promise((resolve) => setTimeout(resolve, 2000))
  return timed(() => read(client, deployment, 'hibernate'))
}

const main = async (client: Client): Promise<void> => {
  const original_bytes = (await stat(modelPath)).size
  const { model_id } = await step(
    'upload and inspect',
    () => client.upload(modelPath, { name: 'ppocr-recognition', framework: 'onnx', version: '4', metadata: '{"demo":true}' }),
    ({ model_id }) => model_id,
  )
  const optimized = await step(
    'optimise: int8, measured',
    async () => {
      const { id } = await client.call<Optimized>('POST', `/models/${model_id}/optimize`, {
        method: 'quantization',
        metadata: { precision: 'int8' },
      })
      return until(() => client.call<Optimized>('GET', `/models/${model_id}/optimized/${id}`), ['completed', 'failed'])
    },
    ({ status, attempts }) => `${status} after ${attempts.length} candidates`,
  )
  if (optimized.status === 'failed') throw new Error(`No candidate was good enough: ${optimized.metadata.error}`)
  const original = await step(
    'deploy the original',
    () => deploy(client, 'reader', model_id, 'original'),
    ({ id }) => id,
  )
  const smaller = await step(
    'deploy the optimised',
    () => deploy(client, 'reader-int8', optimized.id, 'optimized'),
    ({ id }) => id,
  )
  const pair = [original, smaller] as const
  await step(
    'read a word',
    () => read(client, smaller, 'Deployment 42'),
    (text) => `saw a picture of "Deployment 42", answered "${text}"`,
  )
  const [before, after] = await step(
    `read ${rounds} words each, in turn`,
    () => race(client, pair),
    ([a, b]) => `${percent(a?.read)} and ${percent(b?.read)} right`,
  )
  const cold = await step(
    'sleep, then wake by a request',
    async () => [await sleepAndWake(client, original), await sleepAndWake(client, smaller)],
    ([a, b]) => `${ms(a)} and ${ms(b)}`,
  )
  const costs = await step(
    'what it cost',
    () => costPer1000(client, pair),
    ([a, b]) => `$${a?.toFixed(6)} and $${b?.toFixed(6)} per 1,000`,
  )
  const published = optimized.attempts.find((attempt) => attempt.verdict === 'published')
  table([
    ['', 'original', 'int8', 'change'],
    ['bytes', megabytes(original_bytes), megabytes(optimized.size_bytes), change(original_bytes, optimized.size_bytes)],
    [
      'model p50 / p95',
      both(published?.original),
      both(published?.candidate),
      change(published?.original?.p50_ms, published?.candidate?.p50_ms),
    ],
    ['request p50 / p95', both(before), both(after), change(before?.p50_ms, after?.p50_ms)],
    ['words read right', percent(before?.read), percent(after?.read), ''],
    [
      'fidelity to original',
      '–',
      `${published?.fidelity?.sqnr_db?.toFixed(1) ?? '–'} dB SQNR`,
      `accuracy ${optimized.accuracy_change_percentage ?? 'not judged'}`,
    ],
    ['first request after sleep', ms(cold[0]), ms(cold[1]), change(cold[0], cold[1])],
    ['cost per 1,000 requests', `$${costs[0]?.toFixed(6)}`, `$${costs[1]?.toFixed(6)}`, change(costs[0], costs[1])],
  ])
  process.stdout.write(`  cost basis: ${await costBasis(client)}\n`)
}

const costPer1000 = async (client: Client, pair: readonly Deployment[]): Promise<number[]> => {
  const { cost_by_deployment } = await client.call<{ cost_by_deployment: Record<string, number> }>('GET', '/analytics/cost')
  const { performance_by_deployment } = await client.call<{ performance_by_deployment: Record<string, { requests: number }> }>(
    'GET',
    '/analytics/performance',
  )
  return pair.map(
    ({ id }) => (1000 * (cost_by_deployment[id] ?? Number.NaN)) / (performance_by_deployment[id]?.requests ?? Number.NaN),
  )
}

const costBasis = async (client: Client): Promise<string> =>
  (await client.call<{ basis: { total_cost: string } }>('GET', '/analytics/cost')).basis.total_cost

const ms = (value: number | undefined): string => (value === undefined ? '–' : `${value.toFixed(1)} ms`)
const both = (times: { p50_ms: number; p95_ms: number } | undefined): string =>
  times === undefined ? '–' : `${times.p50_ms.toFixed(1)} / ${times.p95_ms.toFixed(1)} ms`
const percent = (share: number | undefined): string => `${(100 * (share ?? Number.NaN)).toFixed(0)} %`
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`
const change = (before: number | undefined, after: number | undefined): string =>
  before && after ? `${after <= before ? '−' : '+'}${(100 * Math.abs(1 - after / before)).toFixed(1)} %` : ''

const table = (rows: readonly string[][]): void => {
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  process.stdout.write(
    `\n${rows.map((row) => `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('   ')}`).join('\n')}\n\n`,
  )
}

const running = process.env.AIDEPLOY_URL
const host = running
  ? { url: running, password: process.env.AIDEPLOY_ADMIN_PASSWORD ?? '', stop: async () => {} }
  : await startHost()
process.stdout.write(`AI Deploy at ${host.url}\n`)
try {
  await main(await signIn(host.url, 'admin', host.password))
} finally {
  await host.stop()
}
