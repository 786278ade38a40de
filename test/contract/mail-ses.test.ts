import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CreateEmailIdentityCommand, SESv2Client } from '@aws-sdk/client-sesv2'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import * as z from 'zod'
import { sesMail } from '../../layers/mail/ses.ts'
import { type Emulator, hasMoto, startMoto } from '../support/emulators.ts'
import { failure } from '../support/records.ts'
import { type Delivered, mailContract, sender } from './mail.ts'

const clientAt = (endpoint: string) =>
  new SESv2Client({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 2,
  })

const Kept = z.object({
  ses: z.object({ RawMessage: z.array(z.object({ raw_data: z.string(), destinations: z.array(z.string()) })) }),
})

const suite = (): void => {
  let moto: Emulator
  let client: SESv2Client
  beforeAll(async () => {
    moto = await startMoto()
    client = clientAt(moto.endpoint)
    await client.send(new CreateEmailIdentityCommand({ EmailIdentity: 'reports@example.com' }))
  })
  afterAll(async () => {
    client.destroy()
    await moto.stop()
  })
  let read = 0
  const delivered = async (): Promise<Delivered[]> => {
    const { ses } = Kept.parse(await (await fetch(`${moto.endpoint}/moto-api/data.json`)).json())
    const fresh = ses.RawMessage.slice(read)
    read = ses.RawMessage.length
    // moto counts the recipients of the header beside those of the envelope, where SES takes the envelope alone.
    return fresh.map(({ raw_data, destinations }) => ({
      raw: Buffer.from(raw_data, 'utf8').toString('latin1'),
      recipients: [...new Set(destinations)],
    }))
  }
  mailContract(
    'by SES (moto)',
    async () => ({ mail: sesMail({ client: () => client, from: sender }), delivered, close: async () => {} }),
    [
      {
        reason: 'moto counts every recipient twice, in the header and in the envelope, and refuses 50 as too many',
        tests: ['reaches every one of many recipients once'],
      },
    ],
  )

  it('says how to verify a sender that SES does not know', async () => {
    const mail = sesMail({ client: () => client, from: 'Somebody <nobody@example.org>' })
    const { message } = await failure('unavailable_here', mail.send({ to: ['ada@example.com'], subject: 'x', text: 'x' }))
    expect(message).toMatch(/does not send from nobody@example\.org yet/)
    expect(message).toMatch(/aws sesv2 create-email-identity --email-identity nobody@example\.org/)
  })
}

describe('SES', () => {
  if (hasMoto()) suite()
  else it.skip('left out: python3 has no moto', () => {})
})

const Call = z.object({
  Destination: z.object({ ToAddresses: z.array(z.string()).max(50) }),
  Content: z.object({ Raw: z.object({ Data: z.string() }) }),
})

/** SendEmail on loopback: keeps what it takes, 50 recipients at most; `fails` is answered to the first so many calls. */
const sesServer = async (fails: { status: number; code: string; message: string }[] = []) => {
  const taken: Delivered[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const fail = fails.shift()
      const call = Call.safeParse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
      const refused =
        fail ?? (call.success ? undefined : { status: 400, code: 'BadRequestException', message: 'Too many recipients' })
      if (call.success && !refused)
        taken.push({
          raw: Buffer.from(call.data.Content.Raw.Data, 'base64').toString('latin1'),
          recipients: call.data.Destination.ToAddresses,
        })
      response.writeHead(refused?.status ?? 200, {
        'content-type': 'application/json',
        ...(refused && { 'x-amzn-errortype': refused.code }),
      })
      response.end(JSON.stringify(refused ? { message: refused.message } : { MessageId: `ses-${taken.length}` }))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = clientAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const close = async () => {
    client.destroy()
    server.closeAllConnections()
    server.close()
  }
  return { mail: sesMail({ client: () => client, from: sender }), delivered: async () => taken.splice(0), close }
}

mailContract('by SES (loopback)', sesServer)

describe('mail by SES when the service refuses', () => {
  const letter = { to: ['ada@example.com'], subject: 'x', text: 'x' }
  it.each([
    [
      'MessageRejected',
      'Email address is not verified. The following identities failed the check: a@b.c',
      'unavailable_here',
      /a@b\.c/,
    ],
    ['MailFromDomainNotVerifiedException', 'no MX', 'unavailable_here', /Verify the identity/],
    ['SendingPausedException', 'paused', 'unavailable', /paused/],
    ['LimitExceededException', 'quota', 'unavailable', /quota/],
    ['BadRequestException', 'Invalid header', 'invalid_request', /Invalid header/],
    ['NotFoundException', 'no such set', 'internal', /NotFoundException/],
  ] as const)('%s: %s becomes %s', async (code, message, wanted, says) => {
    const { mail, close } = await sesServer(Array.from({ length: 2 }, () => ({ status: 400, code, message })))
    onTestFinished(close)
    expect((await failure(wanted, mail.send(letter))).message).toMatch(says)
  })

  it('a throttled call is repeated and the mail sent once', async () => {
    const { mail, delivered, close } = await sesServer([{ status: 429, code: 'TooManyRequestsException', message: 'slow down' }])
    onTestFinished(close)
    expect((await mail.send(letter)).message_id).toBe('ses-1')
    expect(await delivered()).toHaveLength(1)
  })
})
