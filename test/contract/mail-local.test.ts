import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outboxMail } from '../../layers/mail/outbox.ts'
import { smtpMail } from '../../layers/mail/smtp.ts'
import { smtpServer } from '../support/smtp-server.ts'
import { mailContract, sender } from './mail.ts'

mailContract('in the outbox', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'outbox-'))
  const delivered = async () => {
    const names = (await readdir(dir)).sort()
    const found = await Promise.all(names.map(async (name) => ({ raw: await readFile(join(dir, name), 'latin1') })))
    await Promise.all(names.map((name) => rm(join(dir, name))))
    return found
  }
  return { mail: outboxMail({ dir, from: sender }), delivered, close: () => rm(dir, { recursive: true }) }
})

mailContract('by SMTP', async () => {
  const server = await smtpServer()
  const delivered = async () => {
    const recipients = server.commands.splice(0).flatMap((command) => /^RCPT TO:<(.+)>$/.exec(command)?.[1] ?? [])
    return server.messages.splice(0).map((message) => ({
      raw: Buffer.from(message.replaceAll(/^\.\./gm, '.'), 'utf8').toString('latin1'),
      recipients,
    }))
  }
  return { mail: smtpMail({ url: `smtp://127.0.0.1:${server.port}`, from: sender }), delivered, close: server.stop }
})
