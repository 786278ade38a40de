import { sqliteRecords } from '../../layers/records/sqlite.ts'

/** Run by the crash test: writes pairs of documents without end and names every acknowledged pair on a line of its own. */
const [path = '', first = '0'] = process.argv.slice(2)
const records = sqliteRecords({ path, now: () => new Date() })
const write = async (n: number): Promise<void> => {
  const body = { n, text: 'x'.repeat((n * 37) % 3000) }
  await records.write([
    { put: { pk: 'left', sk: String(n), body }, expect: 'absent' },
    { put: { pk: 'right', sk: String(n), body }, expect: 'absent' },
  ])
  process.stdout.write(`${n}\n`)
}
process.stdout.write('open\n')
for (let n = Number(first); ; n += 4) await Promise.all([n, n + 1, n + 2, n + 3].map(write))
