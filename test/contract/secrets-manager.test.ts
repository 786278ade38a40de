import { DeleteSecretCommand, DescribeSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { secretsManagerSecrets } from '../../layers/secrets/secrets-manager.ts'
import { ServiceError, startAwsJsonServer } from '../support/aws-json-server.ts'
import { type Emulator, hasMoto, startMoto } from '../support/emulators.ts'
import { failure } from '../support/records.ts'
import { everything, secretsContract } from './secrets.ts'

const clientAt = (endpoint: string) =>
  new SecretsManagerClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 2,
  })

const suite = (): void => {
  let moto: Emulator
  let client: SecretsManagerClient
  const store = () => secretsManagerSecrets({ client: () => client, prefix: 'aideploy/dev', stage: 'dev' })
  beforeAll(async () => {
    moto = await startMoto()
    client = clientAt(moto.endpoint)
  })
  afterAll(async () => {
    client.destroy()
    await moto.stop()
  })
  secretsContract('in Secrets Manager (moto)', async () => ({ secrets: store(), again: store, close: async () => {} }))

  it('lie below the prefix with the tag of their stage', async () => {
    await store().put('a/b', 'x')
    const { Tags } = await client.send(new DescribeSecretCommand({ SecretId: 'aideploy/dev/a/b' }))
    expect(Tags).toEqual([{ Key: 'aideploy:stage', Value: 'dev' }])
  })

  it('that somebody scheduled for deletion count as absent and come back with a put', async () => {
    await store().put('scheduled', 'before')
    await client.send(new DeleteSecretCommand({ SecretId: 'aideploy/dev/scheduled', RecoveryWindowInDays: 7 }))
    expect(await store().get('scheduled')).toBeUndefined()
    await store().remove('scheduled')
    await store().put('scheduled', 'after')
    expect(await store().get('scheduled')).toBe('after')
  })

  it('are put once when many put the same new name', async () => {
    await Promise.all(Array.from({ length: 4 }, (_, at) => store().put('raced', `value ${at}`)))
    expect(await store().get('raced')).toMatch(/^value [0-3]$/)
  })
}

describe('Secrets Manager', () => {
  if (hasMoto()) suite()
  else it.skip('left out: python3 has no moto', () => {})
})

describe('secrets in Secrets Manager when the service misbehaves', () => {
  const canary = 'canary-91ac44'

  it('survive throttling and 500s, and say what failed without the value', async () => {
    const kept = new Map<string, string>()
    const server = await startAwsJsonServer({
      PutSecretValue: ({ SecretId, SecretString }) => {
        if (!kept.has(String(SecretId)))
          throw new ServiceError('ResourceNotFoundException', 'Secrets Manager can’t find the secret.')
        kept.set(String(SecretId), String(SecretString))
        return { ARN: 'arn', Name: SecretId }
      },
      CreateSecret: ({ Name, SecretString }) => {
        if (kept.has(String(Name))) throw new ServiceError('ResourceExistsException', 'The secret already exists.')
        kept.set(String(Name), String(SecretString))
        return { ARN: 'arn', Name }
      },
    })
    const client = clientAt(server.endpoint)
    const secrets = secretsManagerSecrets({ client: () => client, prefix: 'aideploy/dev', stage: 'dev' })
    server.misbehave('CreateSecret', 'throttle')
    await secrets.put('one', canary)
    expect(kept.get('aideploy/dev/one')).toBe(canary)
    // Made, but the answer was lost: the repeat finds it there and puts the value once more.
    server.misbehave('CreateSecret', 'lose')
    await secrets.put('two', canary)
    expect(kept.get('aideploy/dev/two')).toBe(canary)
    server.misbehave('PutSecretValue', 'fail', 2)
    const error = await failure('unavailable', secrets.put('one', canary))
    expect(error.message).toBe('Writing secret one: AWS did not answer in time; repeat the request')
    expect(everything(error)).not.toContain(canary)
    client.destroy()
    await server.stop()
  })
})
