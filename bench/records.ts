import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sqliteRecords } from '../layers/records/sqlite.ts'

/** `node bench/records.ts`: durable writes and reads of SQLite records, 300-byte documents, on the disk of the working folder. */
const folder = mkdtempSync(join(process.cwd(), '.bench-records-'))
const records = sqliteRecords({ path: join(folder, 'records.sqlite'), now: () => new Date() })
const text = 'x'.repeat(280)
const key = (n: number) => ({ pk: 'bench', sk: String(n).padStart(8, '0') })
const write = (n: number) => records.write([{ put: { ...key(n), body: { n, text } }, expect: 'any' }])

const measure = async (name: string, count: number, run: (n: number) => Promise<unknown>, at_once: number): Promise<void> => {
  const latencies_ms: number[] = []
  const start = performance.now()
  for (let n = 0; n < count; n += at_once)
    await Promise.all(
      Array.from({ length: at_once }, async (_, offset) => {
        const began = performance.now()
        await run(n + offset)
        latencies_ms.push(performance.now() - began)
      }),
    )
  const per_second = Math.round((count / (performance.now() - start)) * 1000)
  latencies_ms.sort((a, b) => a - b)
  const quantile = (q: number) => latencies_ms[Math.floor(latencies_ms.length * q)]?.toFixed(3)
  process.stdout.write(`${name}: ${per_second}/s, p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms\n`)
}

try {
  await measure('write, one after another', 2000, write, 1)
  await measure('write, 64 at once', 12_800, write, 64)
  await measure('get', 20_000, (n) => records.get(key(n % 12_800)), 1)
  await measure('query 30', 4000, (n) => records.query({ pk: 'bench', from: key(n % 12_000).sk, limit: 30 }), 1)
} finally {
  records.close()
  rmSync(folder, { recursive: true })
}
