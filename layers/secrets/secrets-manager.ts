import {
  CreateSecretCommand,
  DeleteSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import { awsCode, awsFailure } from '../aws/failure.ts'
import { PlatformError } from '../core/contract/errors.ts'
import type { Secrets } from '../core/ports/secrets.ts'
import { checkedName, checkedValue } from './checked.ts'

export interface SecretsManagerParts {
  /** Made at the first call. */
  client(): SecretsManagerClient
  /** Secrets are named `<prefix>/<name>`; IAM allows exactly what lies below it. */
  prefix: string
  /** Value of the tag `aideploy:stage`. */
  stage: string
  /** A key of this account; without it the service's own. */
  kms_key_id?: string
}

/** A removed name is free again after moments, during which the service still refuses it. */
const attempts = 5
const wait_ms = 200

/**
 * Secrets in AWS Secrets Manager. A removed secret is gone at once, without the service's recovery window, and its name may be used
 * again; one that somebody else scheduled for deletion counts as absent, and a put brings it back. Values never reach an error.
 */
export const secretsManagerSecrets = ({ client, prefix, stage, kms_key_id }: SecretsManagerParts): Secrets => {
  let made: SecretsManagerClient | undefined
  const manager = (): SecretsManagerClient => (made ??= client())
  const idOf = (name: string): string => `${prefix}/${checkedName(name)}`
  const tryPut = async (SecretId: string, SecretString: string): Promise<Outcome> => {
    const code = await codeOf(manager().send(new PutSecretValueCommand({ SecretId, SecretString })))
    if (code === 'InvalidRequestException') await codeOf(manager().send(new RestoreSecretCommand({ SecretId })))
    if (code !== 'ResourceNotFoundException') return code
    const Tags = [{ Key: 'aideploy:stage', Value: stage }]
    const key = kms_key_id === undefined ? {} : { KmsKeyId: kms_key_id }
    return codeOf(manager().send(new CreateSecretCommand({ Name: SecretId, SecretString, Tags, ...key })))
  }
  return {
    get: async (name) => {
      const id = idOf(name)
      try {
        return (await manager().send(new GetSecretValueCommand({ SecretId: id }))).SecretString
      } catch (error) {
        if (absent.has(awsCode(error))) return undefined
        throw awsFailure(error, `Reading secret ${name}`)
      }
    },
    put: async (name, value) => {
      const id = idOf(name)
      const kept = checkedValue(value)
      for (let attempt = 1; attempt <= attempts; attempt += 1) {
        const outcome = await tryPut(id, kept).catch((error: unknown) => {
          throw awsFailure(error, `Writing secret ${name}`)
        })
        if (outcome === 'done') return
        await new Promise((resolve) => setTimeout(resolve, wait_ms * attempt))
      }
      throw new PlatformError('unavailable', `Secret ${name} is being removed by somebody else; repeat the request`, {
        retry_after_s: 5,
      })
    },
    remove: async (name) => {
      const id = idOf(name)
      try {
        await manager().send(new DeleteSecretCommand({ SecretId: id, ForceDeleteWithoutRecovery: true }))
      } catch (error) {
        if (!absent.has(awsCode(error))) throw awsFailure(error, `Removing secret ${name}`)
      }
    },
  }
}

type Outcome = 'done' | (typeof expected)[number]

/** Not there; scheduled for deletion; or made meanwhile by somebody else. What else the service says is thrown. */
const expected = ['ResourceNotFoundException', 'InvalidRequestException', 'ResourceExistsException'] as const
const absent: ReadonlySet<string> = new Set(['ResourceNotFoundException', 'InvalidRequestException'])

const codeOf = async (call: Promise<unknown>): Promise<Outcome> => {
  try {
    await call
    return 'done'
  } catch (error) {
    const code = expected.find((known) => known === awsCode(error))
    if (code === undefined) throw error
    return code
  }
}
