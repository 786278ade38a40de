import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embeddedIdentity } from '../../layers/identity/embedded.ts'
import { sqliteRecords } from '../../layers/records/sqlite.ts'
import { fileSecrets } from '../../layers/secrets/file.ts'
import { tickingClock } from '../support/identity.ts'
import { identityContract } from './identity.ts'

identityContract('embedded', async () => ({
  open: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'identity-contract-'))
    const { now, advance } = tickingClock()
    const secrets = fileSecrets({ path: join(folder, 'secrets.json'), key_path: join(folder, 'secrets.key') })
    const stores = ['ours', 'theirs'].map((name) => sqliteRecords({ path: join(folder, `${name}.sqlite`), now }))
    const [identity, stranger] = stores.map((records, at) =>
      embeddedIdentity({ records, secrets, now, issuer: `http://127.0.0.1:${3000 + at}`, scrypt_n: 1024 }),
    )
    if (!identity || !stranger) throw new Error('there are two stores')
    // The keys are one set for both, made by whoever asks first.
    await identity.publicKeys()
    const close = () => {
      for (const store of stores) store.close()
      rmSync(folder, { recursive: true, force: true })
    }
    return { identity, stranger: async () => stranger, advance, close }
  },
  close: () => {},
}))
