import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { CreateBucketCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { buildRuntime } from '../../bin/build.ts'
import { s3Artifacts } from '../../layers/artifacts/s3.ts'
import type { ModelManifest } from '../../layers/core/contract/model-function.ts'
import { writeServingForm } from '../../layers/onnx/serving-form.ts'
import { writeModel } from './models.ts'

const root = join(import.meta.dirname, '../..')

/** The model function's bundle in a folder of its own, with onnxruntime beside it. */
export const bundledRuntime = async (): Promise<{ folder: string; remove(): void }> => {
  const folder = mkdtempSync(join(tmpdir(), 'aideploy-runtime-'))
  await buildRuntime(folder)
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

const sha256 = async (path: string): Promise<string> => {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}

export interface PublishedModel {
  manifest_key: string
  manifest_sha256: string
  manifest: ModelManifest
}

/** Puts a model (its bytes, or the path of its file) in its serving form into a bucket, as the deployer does. */
export const publishModel = async (
  s3: S3Client,
  Bucket: string,
  facts: Pick<ModelManifest, 'organization_id' | 'deployment_id' | 'revision' | 'name'>,
  model: Uint8Array | string,
): Promise<PublishedModel> => {
  const scratch = mkdtempSync(join(tmpdir(), 'aideploy-publish-'))
  try {
    const path = typeof model === 'string' ? model : writeModel(join(scratch, 'in', 'model.onnx'), model)
    const { files } = await writeServingForm(path, join(scratch, 'out'))
    const { put } = s3Artifacts({ bucket: Bucket, client: () => s3, now: () => new Date(), scratch_dir: scratch })
    const prefix = `deployments/${facts.deployment_id}/${facts.revision}`
    const listed = await Promise.all(
      files.map(async (file) => {
        const name = basename(file)
        const listing = { name, key: `${prefix}/${name}`, size_bytes: statSync(file).size, sha256: await sha256(file) }
        await put(listing.key, createReadStream(file), { sha256: listing.sha256 })
        return listing
      }),
    )
    const manifest: ModelManifest = { ...facts, deployment_type: 'serverless', model_sha256: '0'.repeat(64), files: listed }
    const manifest_key = `${prefix}/manifest.json`
    const text = JSON.stringify(manifest)
    await s3.send(new PutObjectCommand({ Bucket, Key: manifest_key, Body: text }))
    return { manifest_key, manifest_sha256: createHash('sha256').update(text).digest('hex'), manifest }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

export const createBucket = async (s3: S3Client, bucket: string): Promise<void> =>
  void (await s3.send(new CreateBucketCommand({ Bucket: bucket })))

/** The environment the deployer gives a model function. */
export const modelEnvironment = (
  { manifest_key, manifest_sha256, manifest }: PublishedModel,
  changes: Record<string, string> = {},
): Record<string, string> => ({
  AIDEPLOY_STAGE: 'test',
  AIDEPLOY_TABLE: 'records',
  AIDEPLOY_BUCKET: 'artifacts',
  AIDEPLOY_ORGANIZATION: manifest.organization_id,
  AIDEPLOY_DEPLOYMENT: manifest.deployment_id,
  AIDEPLOY_DEPLOYMENT_TYPE: manifest.deployment_type,
  AIDEPLOY_REVISION: String(manifest.revision),
  AIDEPLOY_ENDPOINT_AUTH: 'none',
  AIDEPLOY_MANIFEST_KEY: manifest_key,
  AIDEPLOY_MANIFEST_SHA256: manifest_sha256,
  AIDEPLOY_TIMEOUT_S: '10',
  AIDEPLOY_MEMORY_LIMIT_BYTES: String(512 * 2 ** 20),
  AIDEPLOY_EPHEMERAL_MB: '512',
  AIDEPLOY_THREADS: '1',
  ...changes,
})

export interface LocalPool {
  /** What a model function is told of it. */
  environment: Record<string, string>
  token(
    claims: { user_id: string; username: string; organization_id: string; epoch: string },
    changes?: { expires?: string; audience?: string },
  ): Promise<string>
  stop(): void
}

/** Stands for a Cognito user pool: its public keys over HTTP, and ID tokens as it signs them. */
export const startPool = async (): Promise<LocalPool> => {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'pool-key', alg: 'RS256', use: 'sig' }
  const server: Server = createServer((_, reply) =>
    reply.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] })),
  )
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const issuer = 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_test'
  return {
    environment: {
      AIDEPLOY_USER_POOL_ID: 'us-east-1_test',
      AIDEPLOY_USER_POOL_CLIENT_ID: 'client',
      AIDEPLOY_USER_POOL_JWKS_URI: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    },
    token: ({ user_id, username, organization_id, epoch }, { expires = '10m', audience = 'client' } = {}) =>
      new SignJWT({
        token_use: 'id',
        preferred_username: username,
        'custom:user_id': user_id,
        'custom:organization_id': organization_id,
        'custom:epoch': epoch,
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'pool-key' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(user_id)
        .setIssuedAt(Math.floor(Date.now() / 1000) - 3600)
        .setExpirationTime(expires)
        .sign(privateKey),
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
