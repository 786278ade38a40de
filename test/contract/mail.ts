import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Mail, MailMessage } from '../../layers/core/ports/mail.ts'
import { failure } from '../support/records.ts'

/** A message as the transport handed it on: RFC 5322 text, and whom the envelope named. */
export interface Delivered {
  raw: string
  recipients?: string[]
}

export interface MailUnderTest {
  mail: Mail
  /** All that was delivered since the last call. */
  delivered(): Promise<Delivered[]>
  close(): Promise<void>
}

export const sender = 'AI Deploy <reports@example.com>'

const message: MailMessage = {
  to: ['ada@example.com'],
  subject: 'Kosten der Woche: 3,20 € gespart – „gut“',
  text: 'Line one\n.\nLine three: ünïcode 😀',
  html: '<p>Line one</p><p>ünïcode 😀</p>',
  attachments: [{ file_name: 'costs.csv', content_type: 'text/csv', content: new TextEncoder().encode('a,b\n1,2\n') }],
}

/** What an emulator cannot do; these tests are left out there, with the reason. */
export interface Difference {
  reason: string
  tests: readonly string[]
}

/** The contract of the mail port. */
export const mailContract = (name: string, open: () => Promise<MailUnderTest>, differences: readonly Difference[] = []): void => {
  describe(`mail ${name}`, () => {
    let under: MailUnderTest
    beforeEach(({ task, skip }) => {
      const difference = differences.find(({ tests }) => tests.includes(task.name))
      if (difference) skip(difference.reason)
    })
    beforeAll(async () => {
      under = await open()
    })
    afterAll(() => under?.close())

    it('carries text, HTML, attachment and a subject in any script', async () => {
      const { message_id } = await under.mail.send(message)
      expect(message_id).not.toBe('')
      const [{ raw } = { raw: '' }, ...others] = await under.delivered()
      expect(others).toEqual([])
      expect(header(raw, 'From')).toBe(sender)
      expect(header(raw, 'To')).toBe('ada@example.com')
      expect(decoded(header(raw, 'Subject'))).toBe(message.subject)
      expect(raw).toContain('multipart/mixed')
      expect(raw).toContain('multipart/alternative')
      expect(raw).toMatch(/filename="?costs\.csv/)
      const parts = bodies(raw)
      expect(parts['text/plain']?.replaceAll('\r\n', '\n').trimEnd()).toBe(message.text)
      expect(parts['text/html']?.trimEnd()).toBe(message.html)
      expect(parts['text/csv']).toBe('a,b\n1,2\n')
    })

    it('reaches every one of many recipients once', async () => {
      const to = Array.from({ length: 120 }, (_, at) => `person${at}@example.com`)
      await under.mail.send({ to, subject: 'All of you', text: 'Hello' })
      const found = await under.delivered()
      const reached = found.flatMap(({ raw, recipients }) => recipients ?? header(raw, 'To').split(/,\s*/))
      expect(reached.toSorted()).toEqual(to.toSorted())
    })

    it('lets nobody add a header, a recipient or a file', async () => {
      await under.mail.send({
        ...message,
        to: ['ada@example.com'],
        subject: 'Hello\r\nBcc: eve@example.com',
        attachments: [{ file_name: '../../x"\r\nX-Evil: 1', content_type: 'text/plain', content: Buffer.from('x') }],
      })
      const [{ raw, recipients } = { raw: '' }] = await under.delivered()
      expect(raw).not.toMatch(/^(Bcc|X-Evil):/im)
      if (recipients) expect(recipients).toEqual(['ada@example.com'])
    })

    it('wants a recipient', async () => {
      await failure('invalid_request', under.mail.send({ ...message, to: [] }))
      expect(await under.delivered()).toEqual([])
    })
  })
}

const unfolded = (raw: string): string => raw.replaceAll(/\r?\n[ \t]+/g, ' ')
const header = (raw: string, name: string): string => new RegExp(`^${name}: (.*?)\r?$`, 'mi').exec(unfolded(raw))?.[1] ?? ''

/** RFC 2047. */
const decoded = (text: string): string =>
  text
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?utf-8\?([bq])\?(.*?)\?=/gi, (_all, kind: string, word: string) =>
      kind.toLowerCase() === 'b' ? Buffer.from(word, 'base64').toString('latin1') : quoted(word.replaceAll('_', ' ')),
    )
    .replace(/^[\s\S]*$/, (all) => Buffer.from(all, 'latin1').toString('utf8'))

const quoted = (text: string): string =>
  text
    .replaceAll(/=\r?\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** The decoded body of every part that has no parts of its own, by media type. */
const bodies = (raw: string): Record<string, string> =>
  Object.fromEntries(
    raw.split(/^--[^\r\n]+$/m).flatMap((part) => {
      const [head = '', ...rest] = part.trimStart().split(/\r?\n\r?\n/)
      const type = /content-type: ([a-z/]+)/i.exec(head)?.[1] ?? ''
      if (type === '' || type.startsWith('multipart')) return []
      const body = rest.join('\r\n\r\n').replace(/\r?\n$/, '')
      const encoding = /content-transfer-encoding: (\S+)/i.exec(head)?.[1] ?? '7bit'
      if (encoding === 'base64') return [[type, Buffer.from(body, 'base64').toString('utf8')]]
      const bytes = encoding === 'quoted-printable' ? quoted(body) : body
      return [[type, Buffer.from(bytes, 'latin1').toString('utf8')]]
    }),
  )
