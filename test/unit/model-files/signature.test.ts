import { hash } from 'node:crypto'
import { S3Client } from '@aws-sdk/client-s3'
import { describe, expect, it } from 'vitest'
import { signedGet, signedPut } from '../../../layers/model-files/signature.ts'

const secret_access_key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const access_key_id = 'AKIAIOSFODNN7EXAMPLE'
const signatureIn = (authorization: string | undefined): string | undefined => /Signature=(\w+)/.exec(authorization ?? '')?.[1]

describe('a signed GET', () => {
  it('has the signature of the specification’s example', () => {
    // docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Example: GET Object".
    const place = { host: 'examplebucket.s3.amazonaws.com', path: '/test.txt', region: 'us-east-1', range: 'bytes=0-9' }
    const { authorization } = signedGet(place, { access_key_id, secret_access_key }, new Date('2013-05-24T00:00:00Z'))
    expect(authorization).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    )
  })

  it.each([
    ['/deployments/dep_1/1/weights.bin', undefined],
    ['/deployments/dep_1/1/a%20b%2Bc.json', 'IQoJb3JpZ2luX2VjE==/+'],
  ])('of %s has the signature that the SDK gives it', async (path, session_token) => {
    const now = new Date('2026-11-21T07:30:00Z')
    const credentials = {
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key,
      ...(session_token && { sessionToken: session_token }),
    }
    const signer = await new S3Client({ region: 'eu-west-1', credentials }).config.signer({
      name: 'sigv4',
      signingName: 's3',
      signingRegion: 'eu-west-1',
      properties: {},
    })
    const hostname = 'models.s3.eu-west-1.amazonaws.com'
    const range = 'bytes=8388608-16777215'
    const request = { method: 'GET', protocol: 'https:', hostname, path, query: {}, headers: { host: hostname, range } }
    const sdk = await signer.sign(request, { signingDate: now })
    const own = signedGet(
      { host: hostname, path, region: 'eu-west-1', range },
      { access_key_id, secret_access_key, session_token },
      now,
    )
    expect(signatureIn(own.authorization)).toMatch(/^[0-9a-f]{64}$/)
    expect(signatureIn(own.authorization)).toBe(signatureIn(sdk.headers.authorization))
  })
  it('and of a whole object to write too', async () => {
    const now = new Date('2026-11-21T07:30:00Z')
    const credentials = { accessKeyId: access_key_id, secretAccessKey: secret_access_key, sessionToken: 'token' }
    const properties = { name: 'sigv4', signingName: 's3', signingRegion: 'eu-west-1', properties: {} }
    const signer = await new S3Client({ region: 'eu-west-1', credentials }).config.signer(properties)
    const hostname = 'models.s3.eu-west-1.amazonaws.com'
    const path = '/samples/org_1/dep_1/a.rows'
    const sha256 = hash('sha256', 'rows', 'hex')
    const headers = { host: hostname, 'x-amz-content-sha256': sha256 }
    const request = { method: 'PUT', protocol: 'https:', hostname, path, query: {}, headers, body: 'rows' }
    const sdk = await signer.sign(request, { signingDate: now })
    const own = signedPut(
      { host: hostname, path, region: 'eu-west-1', sha256 },
      { access_key_id, secret_access_key, session_token: 'token' },
      now,
    )
    expect(signatureIn(own.authorization)).toBe(signatureIn(sdk.headers.authorization))
  })
})
