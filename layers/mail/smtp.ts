import { createTransport } from 'nodemailer'
import { PlatformError } from '../core/contract/errors.ts'
import type { Mail } from '../core/ports/mail.ts'
import { mailOptions } from './message.ts'

const patience_ms = 20_000

/**
 * Mail through a server: `smtp://user:password@host:587`, `smtps://…` for TLS from the first byte.
 * Fails with `unavailable` when the server cannot be reached or refuses, saying what it answered but never the URL.
 */
export const smtpMail = ({ url, from }: { url: string; from: string }): Mail => {
  const { protocol, hostname, port, username, password } = new URL(url)
  const secure = protocol === 'smtps:'
  const transport = createTransport({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    ...(username !== '' && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: patience_ms,
    greetingTimeout: patience_ms,
    socketTimeout: patience_ms,
  })
  return {
    send: async (message) => {
      const options = mailOptions(message, from)
      try {
        const info = await transport.sendMail(options)
        return { message_id: info.messageId }
      } catch (cause) {
        // The cause is left out: it carries the connection's options and what the server echoed.
        throw new PlatformError('unavailable', `The mail server did not take the message: ${refusal(cause)}`)
      }
    },
  }
}

const refusal = (cause: unknown): string => {
  if (!(cause instanceof Error)) return 'unknown reason'
  const code = 'code' in cause ? String(cause.code) : cause.name
  const answer = 'responseCode' in cause ? ` (SMTP ${cause.responseCode})` : ''
  return `${code}${answer}`
}
