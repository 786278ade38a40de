import type { Client } from './client.ts'
import type { Deployment, Latency } from './job.ts'
import { decode, render, width } from './words.ts'

/** Both deployments are always asked in turn, so that a busy moment of the machine meets both. */

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
export const rounds = 60
const wakes = 3
/** After a wake the platform prepares the process for the next one, within a second; both sides shall find it ready. */
const rest_ms = 3000

/** The word a deployment sees in a picture of `word`. */
export const read = async (client: Client, { endpoint, name }: Deployment, word: string): Promise<string> => {
  const { shape, data } = await client.infer(endpoint, name, { name: 'x', shape: [1, 3, 48, width], data: render(word) })
  return decode(data, shape[2] ?? 1).trim()
}

export interface Raced extends Latency {
  /** Share of words read right, 0–1. */
  right: number
}

export const race = (client: Client, deployments: readonly Deployment[]): Promise<Raced[]> =>
  inTurn(deployments, rounds, async (deployment, round) => {
    const word = words[round % words.length] ?? ''
    const { result, took_ms } = await timed(() => read(client, deployment, word))
    return { took_ms, right: result === word }
  }).then((runs) =>
    runs.map((mine) => ({
      right: mine.filter(({ right }) => right).length / rounds,
      p50_ms: quantile(mine, 0.5),
      p95_ms: quantile(mine, 0.95),
    })),
  )

/** Milliseconds until the first answer after sleep, the median of three. */
export const wake = (client: Client, deployments: readonly Deployment[]): Promise<number[]> =>
  inTurn(deployments, wakes, async (deployment) => {
    await client.call('POST', `/deployments/${deployment.id}/hibernate`)
    await new Promise((resolve) => setTimeout(resolve, rest_ms))
    return timed(() => read(client, deployment, 'hibernate'))
  }).then((runs) => runs.map((mine) => quantile(mine, 0.5)))

const inTurn = async <Result>(
  deployments: readonly Deployment[],
  times: number,
  run: (deployment: Deployment, round: number) => Promise<Result>,
): Promise<Result[][]> => {
  const results = deployments.map((): Result[] => [])
  for (let round = 0; round < times; round++)
    for (const [at, deployment] of deployments.entries()) results[at]?.push(await run(deployment, round))
  return results
}

const timed = async <Result>(run: () => Promise<Result>): Promise<{ result: Result; took_ms: number }> => {
  const started_ms = performance.now()
  const result = await run()
  return { result, took_ms: performance.now() - started_ms }
}

const quantile = (runs: readonly { took_ms: number }[], share: number): number => {
  const sorted = runs.map(({ took_ms }) => took_ms).toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
