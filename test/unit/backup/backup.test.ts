import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, watch } from 'node:fs'
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { diskArtifacts } from '../../../layers/artifacts/disk.ts'
import { backupHome } from '../../../layers/compose/backup.ts'
import { restoreHome } from '../../../layers/compose/restore.ts'
import { sqliteRecords } from '../../../layers/records/sqlite.ts'
import { bytesFrom, bytesOf, sha256, streamOf } from '../../support/artifacts.ts'
import { failure, put } from '../../support/records.ts'

const root = join(import.meta.dirname, '../../..')
const run = promisify(execFile)
const now = () => new Date('2026-11-20T10:00:00Z')
const long_key = `${'x'.repeat(200)}/${'y'.repeat(200)}/model.onnx`

describe('backup and restore', () => {
  let folder: string
  let home: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'backup-'))
    home = join(folder, 'home')
  })
  afterEach(() => rm(folder, { recursive: true }))
  const at = (name: string) => join(folder, name)
  const openHome = (path = home) => ({
    records: sqliteRecords({ path: join(path, 'records.sqlite'), now }),
    artifacts: diskArtifacts({ root: join(path, 'artifacts'), now, sign_key: 'x', public_url: '' }),
  })
  /** A small platform's folder: records, artifacts, secrets, mail, and what can be made again. */
  const makeHome = async () => {
    await mkdir(home)
    const { records, artifacts } = openHome()
    await records.write([put({ pk: 'org#1', sk: 'model#1' }, { name: 'café' })])
    await artifacts.put('models/1/model.onnx', streamOf(bytesOf(300_000)))
    await artifacts.put('models/2/empty', streamOf(Buffer.alloc(0)))
    await artifacts.put(long_key, streamOf(bytesOf(512)))
    for (const name of ['outbox', 'deployments', 'scratch']) await mkdir(join(home, name))
    await writeFile(join(home, 'secrets.json'), '{"sealed":"yes"}')
    await chmod(join(home, 'secrets.json'), 0o600)
    await writeFile(join(home, 'outbox', '1.eml'), 'Subject: hello')
    await writeFile(join(home, 'deployments', 'copy'), 'made again')
    return { records, artifacts }
  }
  const backUp = (file = at('all.tar')) => backupHome({ home, file, now, version: '1.2.3' })

  it('has every artifact whole although files are compressed and expanded while it is made', async () => {
    const { records, artifacts } = await makeHome()
    const bytes = Buffer.concat([bytesOf(100_000), Buffer.alloc(100_000)])
    const keys = Array.from({ length: 12 }, (_, index) => `models/org/${index}/model.onnx`)
    for (const key of keys) await artifacts.put(key, streamOf(bytes))
    let is_over = false
    const rewriting = (async () => {
      for (let round = 0; !is_over; round += 1)
        for (const key of keys) await (round % 2 === 0 ? artifacts.compact(key) : artifacts.expand(key))
    })()
    for (let round = 0; round < 5; round += 1) {
      await backUp(at(`busy-${round}.tar`))
      await restoreHome({ home: at(`busy-${round}`), file: at(`busy-${round}.tar`) })
      const back = diskArtifacts({ root: join(at(`busy-${round}`), 'artifacts'), now, sign_key: 'x', public_url: '' })
      for (const key of keys) expect(sha256(await bytesFrom(await back.read(key)))).toBe(sha256(bytes))
    }
    is_over = true
    await rewriting
    records.close()
  })

  it('brings everything back, and leaves out what is made again', async () => {
    const { records } = await makeHome()
    const seen = new Set<number>()
    const watcher = watch(folder, (_, name) => {
      const found = name?.startsWith('all.tar') ? statSync(at(name), { throwIfNoEntry: false }) : undefined
      if (found) seen.add(found.mode & 0o077)
    })
    const made = await backUp()
    watcher.close()
    records.close()
    expect([...seen], 'nobody else may read the copies on the way either').toEqual([0])
    expect(made).toMatchObject({ files: 6, size_bytes: (await stat(at('all.tar'))).size })
    expect((await stat(at('all.tar'))).mode & 0o077).toBe(0)
    expect(await restoreHome({ home: at('back'), file: at('all.tar') })).toMatchObject({
      files: 6,
      created_at: '2026-11-20T10:00:00.000Z',
    })
    expect((await readdir(at('back'))).sort()).toEqual(['artifacts', 'outbox', 'records.sqlite', 'secrets.json'])
    expect((await stat(join(at('back'), 'secrets.json'))).mode & 0o077).toBe(0)
    expect(await readFile(join(at('back'), 'outbox', '1.eml'), 'utf8')).toBe('Subject: hello')
    const back = openHome(at('back'))
    expect((await back.records.get({ pk: 'org#1', sk: 'model#1' }))?.body).toEqual({ name: 'café' })
    expect(await back.artifacts.list('')).toEqual(['models/1/model.onnx', 'models/2/empty', long_key])
    expect(sha256(await bytesFrom(await back.artifacts.read('models/1/model.onnx')))).toBe(sha256(bytesOf(300_000)))
    back.records.close()
    expect(await readdir(folder)).toEqual(expect.not.arrayContaining(['all.tar.partial', 'all.tar.records']))
  })

  it('has no samples of requests, which would outlive their being forgotten', async () => {
    const { records, artifacts } = await makeHome()
    for (const deployment of ['dep_1', 'dep_2']) await artifacts.put(`samples/org_1/${deployment}/a.rows`, streamOf(bytesOf(500)))
    await artifacts.remove('samples/org_1/dep_2/a.rows')
    await backUp()
    records.close()
    const { stdout } = await run('tar', ['-tf', at('all.tar')])
    expect(stdout).toContain('models+/1+/model.onnx')
    expect(stdout).not.toContain('samples')
  })

  it('writes what any tar can read', async () => {
    const { records } = await makeHome()
    records.close()
    await backUp()
    const { stdout } = await run('tar', ['-tvf', at('all.tar')])
    const long_path = long_key.split('/').join('+/')
    expect(stdout).toContain(`artifacts/objects/${long_path}`)
    await mkdir(at('unpacked'))
    await run('tar', ['-xf', at('all.tar'), '-C', at('unpacked')])
    expect(await readFile(join(at('unpacked'), 'artifacts/objects', long_path))).toEqual(bytesOf(512))
  })

  it('is whole although the platform goes on storing and removing', async () => {
    await mkdir(home)
    const keeper = spawn(process.execPath, [join(root, 'test/support/keeper.ts'), home], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 25_000,
    })
    const ended = once(keeper, 'exit')
    onTestFinished(async () => {
      keeper.kill('SIGKILL')
      await ended
    })
    await once(keeper.stdout, 'data')
    for (const name of ['one', 'two', 'three']) {
      await run(process.execPath, [join(root, 'bin/backup.ts'), at(`${name}.tar`)], { env: { AIDEPLOY_HOME: home } })
      await restoreHome({ home: at(name), file: at(`${name}.tar`) })
      const back = openHome(at(name))
      const { items } = await back.records.query({ pk: 'models', limit: 1000 })
      expect(items.length).toBeGreaterThan(30)
      for (const { body } of items)
        expect(sha256(await bytesFrom(await back.artifacts.read(String(body.path))))).toBe(body.sha256)
      back.records.close()
    }
    keeper.kill('SIGTERM')
    await ended
    expect(keeper.exitCode).toBe(0)
    const { records, artifacts } = openHome()
    await artifacts.sweepUploads()
    expect(await readdir(join(home, 'artifacts', 'trash'))).toEqual([])
    expect(await artifacts.list('')).toHaveLength((await records.query({ pk: 'models', limit: 1000 })).items.length)
    records.close()
  })

  it('refuses places where a backup does harm', async () => {
    const { records } = await makeHome()
    await failure('invalid_request', backUp(join(home, 'inside.tar')))
    await writeFile(at('older.tar'), 'an older backup')
    await failure('conflict', backUp(at('older.tar')))
    expect(await readFile(at('older.tar'), 'utf8')).toBe('an older backup')
    await failure('not_found', backupHome({ home: at('nothing'), file: at('new.tar'), now, version: '1' }))
    await backUp()
    const error = await failure('conflict', restoreHome({ home, file: at('all.tar') }))
    expect(error.message).toContain('not empty')
    expect((await records.get({ pk: 'org#1', sk: 'model#1' }))?.body).toEqual({ name: 'café' })
    await failure('not_found', restoreHome({ home: at('back'), file: at('nowhere.tar') }))
    records.close()
  })

  it('touches nothing when one byte of the backup is wrong, or its end is missing', async () => {
    const { records } = await makeHome()
    records.close()
    const { size_bytes } = await backUp()
    const original = await readFile(at('all.tar'))
    // The records begin after one header; then somewhere in the artifacts; then in the manifest at the end.
    const content = [600, 5000, original.indexOf(bytesOf(300_000)) + 123_456, original.lastIndexOf('"sha256"') + 12]
    for (const position of content) {
      const file = await open(at('all.tar'), 'r+')
      await file.write(Buffer.from([(original[position] ?? 0) ^ 1]), 0, 1, position)
      await file.close()
      await failure('invalid_request', restoreHome({ home: at('back'), file: at('all.tar') }))
      await writeFile(at('all.tar'), original)
    }
    for (const length of [0, 511, 5000, Math.floor(size_bytes / 2), size_bytes - 1024 - 512]) {
      await writeFile(at('cut.tar'), original)
      await truncate(at('cut.tar'), length)
      await failure('invalid_request', restoreHome({ home: at('back'), file: at('cut.tar') }))
    }
    expect(await readdir(at('back')).catch(() => [])).toEqual([])
  })
})
