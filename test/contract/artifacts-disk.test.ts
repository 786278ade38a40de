import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DiskArtifacts, diskArtifacts } from '../../layers/artifacts/disk.ts'
import { servePartsOf } from '../support/artifacts.ts'
import { artifactsContract } from './artifacts.ts'

artifactsContract('on disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'artifacts-'))
  let artifacts: DiskArtifacts
  const server = await servePartsOf(() => artifacts)
  artifacts = diskArtifacts({ root, now: () => new Date(), sign_key: 'a secret of this test', public_url: server.origin })
  return {
    artifacts,
    leftovers: async () => (await readdir(join(root, 'temp'))).length + (await readdir(join(root, 'uploads'))).length,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      await rm(root, { recursive: true })
    },
  }
})
