import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'

const writer = join(import.meta.dirname, '../../support/records-writer.ts')

/** Lets a child write until it has acknowledged `count` pairs, kills it there, and answers what it acknowledged. */
const writeAndKill = async (path: string, first: number, count: number): Promise<number[]> => {
  const child = spawn(process.execPath, [writer, path, String(first)], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20_000 })
  const acknowledged: number[] = []
  const ended = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== 'open') acknowledged.push(Number(line))
    if (acknowledged.length === count) child.kill('SIGKILL')
  }
  await ended
  return acknowledged
}

/** The same numbers for the same seed, 1 to 200. */
const seeded = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return 1 + ((seed >>> 8) % 200)
}

it('has every acknowledged write after being killed at any moment', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'crash-'))
  const path = join(folder, 'records.sqlite')
  const next = seeded(20261120)
  const acknowledged: number[] = []
  for (let round = 0; round < 6; round += 1) {
    const first = round * 100_000
    acknowledged.push(...(await writeAndKill(path, first, next())))
  }
  const records = sqliteRecords({ path, now: () => new Date() })
  for (const n of acknowledged) expect((await records.get({ pk: 'left', sk: String(n) }))?.body).toMatchObject({ n })
  const sides = [
    records.changes(0, 1_000_000).filter(({ key }) => key.pk === 'left'),
    records.changes(0, 1_000_000).filter(({ key }) => key.pk === 'right'),
  ]
  // All or none: a pair is never half there, acknowledged or not.
  expect(sides[0]?.map(({ key }) => key.sk)).toEqual(sides[1]?.map(({ key }) => key.sk))
  expect(sides[0]?.length).toBeGreaterThanOrEqual(acknowledged.length)
  expect(acknowledged.length).toBeGreaterThan(100)
  records.close()
  await rm(folder, { recursive: true })
})
