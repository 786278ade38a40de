import { stat } from 'node:fs/promises'
import { type Client, signIn } from './demo/client.ts'
import { costs } from './demo/cost.ts'
import { startHost } from './demo/host.ts'
import { deploy, optimise, upload } from './demo/job.ts'
import { race, read, rounds, wake } from './demo/measure.ts'
import { step } from './demo/progress.ts'
import { both, change, megabytes, ms, percent, table, usd } from './demo/table.ts'
import { modelPath } from './demo/words.ts'

/**
 * The main job on a trained text-recognition model: upload → inspect → optimise → deploy → read words → sleep → wake → cost.
 * Against `AIDEPLOY_URL` (with `AIDEPLOY_ADMIN_PASSWORD`, user `admin`), or a platform of its own.
 */
const main = async (client: Client): Promise<void> => {
  const model_id = await step(
    'upload and inspect',
    () => upload(client),
    (id) => id,
  )
  const optimized = await step(
    'optimise: int8, measured',
    () => optimise(client, model_id),
    ({ status, attempts }) => `${status} after ${attempts.length} candidates`,
  )
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
  const pair = [original, smaller]
  await step(
    'read a word',
    () => read(client, smaller, 'Deployment 42'),
    (text) => `shown a picture of "Deployment 42", read "${text}"`,
  )
  const [before, after] = await step(
    `read ${rounds} words each, in turn`,
    () => race(client, pair),
    ([a, b]) => `${percent(a?.right)} and ${percent(b?.right)} right`,
  )
  const cold = await step(
    'sleep, wake, three times each',
    () => wake(client, pair),
    ([a, b]) => `${ms(a)} and ${ms(b)}`,
  )
  const cost = await step(
    'what it cost',
    () => costs(client, pair),
    ({ each: [a, b] }) => `${usd(a?.total)} and ${usd(b?.total)} per 1,000`,
  )
  const published = optimized.attempts.find(({ verdict }) => verdict === 'published')
  const bytes = [(await stat(modelPath)).size, optimized.size_bytes] as const
  const [dear, cheap] = cost.each
  const rows = [
    ['', 'original', 'int8', 'change'],
    ['bytes', megabytes(bytes[0]), megabytes(bytes[1]), change(...bytes)],
    [
      'model p50 / p95',
      both(published?.original),
      both(published?.candidate),
      change(published?.original?.p50_ms, published?.candidate?.p50_ms),
    ],
    ['request p50 / p95', both(before), both(after), change(before?.p50_ms, after?.p50_ms)],
    ['words read right', percent(before?.right), percent(after?.right), ''],
    ['fidelity to original', '–', `${published?.fidelity?.sqnr_db?.toFixed(1) ?? '–'} dB SQNR`, ''],
    ['first request after sleep', ms(cold[0]), ms(cold[1]), change(cold[0], cold[1])],
    ['cost per 1,000 requests', usd(dear?.total), usd(cheap?.total), change(dear?.total, cheap?.total)],
    ['  compute', usd(dear?.compute), usd(cheap?.compute), change(dear?.compute, cheap?.compute)],
    ['  data out, 1 MB a word', usd(dear?.data_out), usd(cheap?.data_out), change(dear?.data_out, cheap?.data_out)],
  ]
  process.stdout.write(`\n${table(rows)}\n\n  cost basis: ${cost.basis}\n`)
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
