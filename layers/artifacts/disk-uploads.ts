import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import type { ArtifactInfo, Artifacts, PartReceiver, PutExpectation, UploadedPart } from '../core/ports/artifacts.ts'
import { absentAs, diskError } from './disk-files.ts'
import { emptyTrash, publish } from './disk-hold.ts'
import { type OpenFile, writeBody } from './disk-write.ts'
import { bytesOfPart, checkedArtifactKey, checkedUploadSize, partCount, partSize, upload_lifetime_ms } from './keys.ts'
import { partUrl, verifyPart } from './part-url.ts'
import { gauge, orderedParts, unknownUpload } from './streaming.ts'

/** `uploads/<id>/`: `upload.json`, `bytes` (every part at its place, so nothing is ever joined), `part-<n>` (its entity tag, once durable). */
const Upload = z.object({ key: z.string(), size_bytes: z.number(), expires_at: z.string() })
type Upload = z.infer<typeof Upload>
const upload_id_form = /^[0-9a-f-]{36}$/

interface Options {
  root: string
  now(): Date
  sign_key: string | Uint8Array
  public_url: string | (() => string)
  openFile: OpenFile
}
type Uploads = Pick<Artifacts, 'beginUpload' | 'completeUpload' | 'abortUpload'> &
  PartReceiver & { sweepUploads(): Promise<number> }

/** Uploads in parts that this host receives itself, under signed URLs. */
export const diskUploads = (options: Options): Uploads => {
  const { root, now, openFile } = options
  const alone = oneAtATime()
  const folderOf = (upload_id: string) => join(root, 'uploads', upload_id)
  const find = async (upload_id: string): Promise<Upload> => {
    const upload = upload_id_form.test(upload_id) ? await readUpload(folderOf(upload_id)) : undefined
    if (!upload || new Date(upload.expires_at) <= now()) throw unknownUpload(upload_id)
    return upload
  }
  const findFor = async (key: string, upload_id: string): Promise<Upload> => {
    const upload = await find(upload_id)
    if (upload.key !== key) throw unknownUpload(upload_id)
    return upload
  }

  return {
    beginUpload: async (key, size_bytes) => {
      const expires_at = new Date(now().getTime() + upload_lifetime_ms)
      const upload = {
        key: checkedArtifactKey(key),
        size_bytes: checkedUploadSize(size_bytes),
        expires_at: expires_at.toISOString(),
      }
      await sweepUploads(root, now)
      const upload_id = randomUUID()
      await createUpload(root, openFile, upload_id, upload)
      const base = typeof options.public_url === 'string' ? options.public_url : options.public_url()
      const parts = Array.from({ length: partCount(size_bytes) }, (_, at) => ({
        number: at + 1,
        url: partUrl(base, options.sign_key, {
          upload_id,
          number: at + 1,
          expires: String(Math.floor(expires_at.getTime() / 1000)),
        }),
      }))
      return { upload_id, part_size: partSize(size_bytes), parts, expires_at: upload.expires_at }
    },

    receivePart: async (request, body) => {
      const { upload_id, number } = request
      verifyPart(options.sign_key, request, now())
      return alone(`${upload_id}/${number}`, [`${upload_id}/${number}`, upload_id], async () => {
        const upload = await find(upload_id)
        if (number > partCount(upload.size_bytes))
          throw new PlatformError('not_found', `Upload ${upload_id} has no part ${number}`)
        return receive(openFile, folderOf(upload_id), upload, number, body)
      })
    },

    completeUpload: async (key, upload_id, parts, expected) => {
      const upload = await findFor(key, upload_id)
      const receiving = Array.from({ length: partCount(upload.size_bytes) }, (_, at) => `${upload_id}/${at + 1}`)
      return alone(upload_id, [upload_id, ...receiving], () => finish(root, folderOf(upload_id), upload, parts, expected))
    },

    abortUpload: async (key, upload_id) => {
      // Also past its time: that is when the platform sweeps it.
      const upload = upload_id_form.test(upload_id) ? await readUpload(folderOf(upload_id)) : undefined
      if (upload?.key === key) await rm(folderOf(upload_id), { recursive: true, force: true, maxRetries: 3 })
    },

    sweepUploads: () => sweepUploads(root, now),
  }
}

/** Two writers of one part, or a writer during completion, would mix their bytes: the second one is refused with `conflict`. */
const oneAtATime = () => {
  const busy = new Set<string>()
  return async <Answer>(name: string, clashes: string[], work: () => Promise<Answer>): Promise<Answer> => {
    if (clashes.some((other) => busy.has(other)))
      throw new PlatformError('conflict', 'Another request is working on this upload or part; repeat when it is done', {
        retry_after_s: 1,
      })
    busy.add(name)
    return work().finally(() => busy.delete(name))
  }
}

const readUpload = async (folder: string): Promise<Upload | undefined> => {
  const text = await readFile(join(folder, 'upload.json'), 'utf8').catch(absentAs(undefined))
  return text === undefined ? undefined : Upload.parse(JSON.parse(text))
}

/** Made aside and renamed, so that no half-made upload is ever seen. */
const createUpload = async (root: string, openFile: OpenFile, upload_id: string, upload: Upload): Promise<void> => {
  const aside = join(root, 'temp', upload_id)
  try {
    await mkdir(aside, { mode: 0o700 })
    await writeSmall(openFile, join(aside, 'upload.json'), JSON.stringify(upload))
    await writeSmall(openFile, join(aside, 'bytes'), '')
    await rename(aside, join(root, 'uploads', upload_id))
  } catch (error) {
    await rm(aside, { recursive: true, force: true })
    throw diskError(error)
  }
}

const writeSmall = async (openFile: OpenFile, path: string, text: string): Promise<void> => {
  const file = await openFile(path, 'wx')
  const bytes = (async function* () {
    yield Buffer.from(text)
  })()
  await writeBody(file, bytes).finally(() => file.close())
}

/** Writes one part at its place. Its entity tag appears only once the bytes are durable; a repeat withdraws the tag first. */
const receive = async (openFile: OpenFile, folder: string, upload: Upload, number: number, body: AsyncIterable<Uint8Array>) => {
  const wanted_bytes = bytesOfPart(upload.size_bytes, number)
  const mark = join(folder, `part-${number}`)
  try {
    await rm(mark, { force: true })
    await rm(`${mark}.new`, { force: true })
    const file = await openFile(join(folder, 'bytes'), 'r+')
    const expected = { size_bytes: wanted_bytes, max_bytes: wanted_bytes }
    const { sha256 } = await writeBody(file, body, expected, (number - 1) * partSize(upload.size_bytes)).finally(() =>
      file.close(),
    )
    await writeSmall(openFile, `${mark}.new`, sha256)
    await rename(`${mark}.new`, mark)
    return { etag: `"${sha256}"` }
  } catch (error) {
    throw diskError(error)
  }
}

/** Checks that every part is there and is the one meant, hashes the whole, and publishes it under its key. */
const finish = async (
  root: string,
  folder: string,
  upload: Upload,
  parts: UploadedPart[],
  expected: PutExpectation = {},
): Promise<ArtifactInfo> => {
  for (const { number, etag } of orderedParts(parts, partCount(upload.size_bytes))) {
    const found = await readFile(join(folder, `part-${number}`), 'utf8').catch(absentAs(undefined))
    if (found === undefined) throw new PlatformError('upload_incomplete', `Part ${number} was not received`)
    if (found !== etag)
      throw new PlatformError('upload_incomplete', `Part ${number} has entity tag "${found}", the request names "${etag}"`)
  }
  try {
    const measured = gauge({ size_bytes: upload.size_bytes, ...expected })
    for await (const chunk of createReadStream(join(folder, 'bytes'), { highWaterMark: 256 * 1024 })) measured.take(chunk)
    const info = measured.finish()
    await publish(root, join(folder, 'bytes'), upload.key)
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    return info
  } catch (error) {
    throw diskError(error)
  }
}

const sweepUploads = async (root: string, now: () => Date): Promise<number> => {
  await emptyTrash(root)
  let removed = 0
  for (const name of await readdir(join(root, 'uploads'))) {
    const folder = join(root, 'uploads', name)
    const upload = await readUpload(folder)
    const past = upload ? new Date(upload.expires_at) <= now() : await stat(folder).then(() => true, absentAs(false))
    if (!past) continue
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    removed += 1
  }
  return removed
}
