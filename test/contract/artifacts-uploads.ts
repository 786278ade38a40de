import { expect, it } from 'vitest'
import { bytesFrom, bytesOf, mebibyte, sendPart, sha256 } from '../support/artifacts.ts'
import { failure } from '../support/records.ts'
import type { ArtifactsUnderTest } from './artifacts.ts'

const small = bytesOf(1000)
const large = bytesOf(20 * mebibyte + 12_345)

export const uploadTests = (under: () => ArtifactsUnderTest): void => {
  it('joins parts that came in any order, one of them twice', async () => {
    const { artifacts, leftovers } = under()
    const plan = await artifacts.beginUpload('parts/joined', large.byteLength)
    expect(plan).toMatchObject({ part_size: 8 * mebibyte, parts: [{ number: 1 }, { number: 2 }, { number: 3 }] })
    expect(Date.parse(plan.expires_at)).toBeGreaterThan(Date.now())
    const other = Buffer.from(large).fill(7, 8 * mebibyte, 16 * mebibyte)
    const stale = await sendPart(plan, 2, other)
    const parts = [await sendPart(plan, 3, large), await sendPart(plan, 1, large), await sendPart(plan, 2, large)]
    await failure(
      'upload_incomplete',
      artifacts.completeUpload('parts/joined', plan.upload_id, [parts[0] ?? stale, parts[1] ?? stale, stale]),
    )
    expect(await artifacts.stat('parts/joined')).toBeUndefined()
    const unquoted = parts.map(({ number, etag }) => ({ number, etag: etag.replaceAll('"', '') }))
    const info = await artifacts.completeUpload('parts/joined', plan.upload_id, unquoted, {
      sha256: sha256(large),
      size_bytes: large.byteLength,
    })
    expect(info).toEqual({ size_bytes: large.byteLength, sha256: sha256(large) })
    expect(sha256(await bytesFrom(await artifacts.read('parts/joined')))).toBe(info.sha256)
    // S3 may answer a repeat as it answered the first time; a disk has forgotten the upload.
    const again = await artifacts
      .completeUpload('parts/joined', plan.upload_id, parts)
      .catch((error) => failure('not_found', Promise.reject(error)))
    expect(again instanceof Error || again.sha256 === info.sha256).toBe(true)
    expect(await leftovers()).toBe(0)
  })

  it('takes an upload of one part', async () => {
    const { artifacts } = under()
    const plan = await artifacts.beginUpload('parts/one', small.byteLength)
    expect(plan.parts[0]?.url).not.toContain('checksum')
    const info = await artifacts.completeUpload('parts/one', plan.upload_id, [await sendPart(plan, 1, small)])
    expect(info).toEqual({ size_bytes: 1000, sha256: sha256(small) })
  })

  it('names the part that is missing, differs or was cut short', async () => {
    const { artifacts, leftovers } = under()
    const plan = await artifacts.beginUpload('parts/wrong', large.byteLength)
    const first = await sendPart(plan, 1, large)
    const second = await sendPart(plan, 2, large)
    const complete = async (parts: { number: number; etag: string }[]) =>
      (await failure('upload_incomplete', artifacts.completeUpload('parts/wrong', plan.upload_id, parts))).message
    expect(await complete([first, second])).toMatch(/[Pp]art 3/)
    expect(await complete([first, first, second])).toMatch(/[Pp]art 2/)
    expect(await complete([])).toMatch(/[Pp]art 1/)
    expect(await complete([first, second, { number: 3, etag: second.etag }])).toMatch(/Part 3/)
    // S3 takes a short last part and notices when the whole is joined; a disk refuses it at once.
    const cut = await sendPart(plan, 3, large.subarray(0, large.byteLength - 1)).catch(() => undefined)
    expect(await complete([first, second, cut ?? { number: 3, etag: 'refused' }])).toMatch(/Part 3|Got 20983864 bytes/)
    await artifacts.abortUpload('parts/wrong', plan.upload_id)
    expect(await leftovers()).toBe(0)
  })

  it('shows nothing when the whole differs from what was promised', async () => {
    const { artifacts } = under()
    const plan = await artifacts.beginUpload('parts/other', small.byteLength)
    const part = await sendPart(plan, 1, small)
    await failure('upload_incomplete', artifacts.completeUpload('parts/other', plan.upload_id, [part], { sha256: sha256(large) }))
    expect(await artifacts.stat('parts/other')).toBeUndefined()
    await artifacts.abortUpload('parts/other', plan.upload_id)
  })

  it('forgets an upload that was aborted, and knows no others', async () => {
    const { artifacts, leftovers } = under()
    const plan = await artifacts.beginUpload('parts/aborted', small.byteLength)
    const part = await sendPart(plan, 1, small)
    await artifacts.abortUpload('parts/aborted', plan.upload_id)
    await artifacts.abortUpload('parts/aborted', plan.upload_id)
    await failure('not_found', artifacts.completeUpload('parts/aborted', plan.upload_id, [part]))
    await expect(sendPart(plan, 1, small)).rejects.toThrow('404')
    for (const unknown of ['', 'x', '../../etc', '5.unknown', '00000000-0000-0000-0000-000000000000'])
      await failure('not_found', artifacts.completeUpload('parts/aborted', unknown, [part]))
    expect(await leftovers()).toBe(0)
  })

  it('refuses impossible sizes', async () => {
    const { artifacts } = under()
    for (const size_bytes of [-1, 1.5, Number.NaN, 6 * 1024 ** 4])
      await failure('invalid_request', artifacts.beginUpload('parts/size', size_bytes))
  })
}
