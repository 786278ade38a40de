import { join } from 'node:path'
import { diskArtifacts } from '../../layers/artifacts/disk.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { bytesOf, streamOf } from './artifacts.ts'

/** Run by the backup test: stores models and removes them again, records and files, as fast as it can, until it is stopped. */
const [home = ''] = process.argv.slice(2)
const now = () => new Date()
const records = sqliteRecords({ path: join(home, 'records.sqlite'), now })
const artifacts = diskArtifacts({ root: join(home, 'artifacts'), now, sign_key: 'x', public_url: '' })

const live: number[] = []
let stopping = false
process.on('SIGTERM', () => {
  stopping = true
})
const keyOf = (n: number) => ({ pk: 'models', sk: String(n).padStart(8, '0') })
const pathOf = (n: number) => `models/${n}/model.onnx`

for (let n = 0; !stopping; n += 1) {
  const { sha256 } = await artifacts.put(pathOf(n), streamOf(bytesOf(20_000 + (n % 7) * 1000, n)))
  await records.write([{ put: { ...keyOf(n), body: { n, path: pathOf(n), sha256 } }, expect: 'absent' }])
  live.push(n)
  if (n === 60) process.stdout.write('busy\n')
  if (live.length < 40) continue
  const [gone = 0] = live.splice((n * 7) % live.length, 1)
  await records.write([{ remove: keyOf(gone), expect: 'any' }])
  await artifacts.remove(pathOf(gone))
}
records.close()
