import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileSecrets } from '../../layers/secrets/file.ts'
import { secretsContract } from './secrets.ts'

secretsContract('in a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'secrets-'))
  const again = () => fileSecrets({ path: join(folder, 'secrets.json'), key_path: join(folder, 'secrets.key') })
  return { secrets: again(), again, close: () => rm(folder, { recursive: true }) }
})
