import { createHmac, timingSafeEqual } from 'node:crypto'
import { PlatformError } from '../core/contract/errors.ts'
import type { PartRequest } from '../core/ports/artifacts.ts'

type Named = Pick<PartRequest, 'upload_id' | 'number' | 'expires'>

/** `{base}/uploads/{upload_id}/parts/{n}?expires={unix seconds}&signature={HMAC-SHA256, base64url}`: proves itself, needs no token. */
export const partUrl = (base: string, sign_key: string | Uint8Array, part: Named): string =>
  `${base}/uploads/${part.upload_id}/parts/${part.number}?expires=${part.expires}&signature=${signatureOf(sign_key, part).toString('base64url')}`

/** Fails with `forbidden` when the signature is not ours, or its time has passed. */
export const verifyPart = (sign_key: string | Uint8Array, request: PartRequest, now: Date): void => {
  const given = Buffer.from(request.signature, 'base64url')
  const wanted = signatureOf(sign_key, request)
  if (given.byteLength !== wanted.byteLength || !timingSafeEqual(given, wanted))
    throw new PlatformError('forbidden', 'The signature of this upload address is not valid')
  if (Number(request.expires) * 1000 <= now.getTime())
    throw new PlatformError('forbidden', 'This upload address has expired; begin a new upload')
}

const signatureOf = (sign_key: string | Uint8Array, { upload_id, number, expires }: Named): Buffer =>
  createHmac('sha256', sign_key).update(`part\n${upload_id}\n${number}\n${expires}`).digest()
