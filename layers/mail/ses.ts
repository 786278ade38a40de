import { type SESv2Client, SendEmailCommand } from '@aws-sdk/client-sesv2'
import { createTransport } from 'nodemailer'
import { awsCode, awsFailure } from '../aws/failure.ts'
import { PlatformError } from '../core/contract/errors.ts'
import type { Mail, MailMessage } from '../core/ports/mail.ts'
import { mailOptions } from './message.ts'

export interface SesParts {
  /** Made at the first call. */
  client(): SESv2Client
  /** An address, or one with a name, of an identity that SES has verified. */
  from: string
  configuration_set?: string
}

/** Quotas of SendEmail: recipients per call, bytes of the whole message. */
const most_recipients = 50
const most_bytes = 40_000_000

/**
 * Mail by SES v2, as a raw message of our own making. More than 50 recipients are served in several calls, each naming its own in the
 * header; when a later one fails, the earlier recipients have their mail already and get it again with a repeat. SES gives every
 * message a `Message-ID` of its own.
 * Fails with `unavailable_here` when the sender (in the sandbox also a recipient) is not verified, saying how to verify it.
 */
export const sesMail = ({ client, from, configuration_set }: SesParts): Mail => {
  let made: SESv2Client | undefined
  const ses = (): SESv2Client => {
    made ??= client()
    return made
  }
  const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
  const compose = async (message: MailMessage): Promise<{ raw: Buffer; recipients: string[]; sender: string }> => {
    const { message: raw, envelope } = await composer.sendMail(mailOptions(message, from))
    if (!Buffer.isBuffer(raw)) throw new PlatformError('internal', 'The message was not rendered')
    if (raw.byteLength > most_bytes)
      throw new PlatformError(
        'invalid_request',
        `A message may have ${most_bytes} bytes with its attachments, got ${raw.byteLength}`,
      )
    if (!envelope.from) throw new PlatformError('internal', 'The sender of this platform is no mail address')
    return { raw, recipients: envelope.to, sender: envelope.from }
  }
  return {
    send: async (message) => {
      const ids: string[] = []
      // The first also where nobody is named: what refuses that is the message's own check.
      for (let at = 0; at === 0 || at < message.to.length; at += most_recipients) {
        const part = await compose({ ...message, to: message.to.slice(at, at + most_recipients) })
        const command = new SendEmailCommand({
          FromEmailAddress: part.sender,
          Destination: { ToAddresses: part.recipients },
          Content: { Raw: { Data: part.raw } },
          ...(configuration_set !== undefined && { ConfigurationSetName: configuration_set }),
        })
        const answer = await ses()
          .send(command)
          .catch((error: unknown) => {
            throw refusal(error, part.sender)
          })
        ids.push(answer.MessageId ?? '')
      }
      return { message_id: ids[0] ?? '' }
    },
  }
}

const refusal = (error: unknown, sender: string): PlatformError => {
  const said = error instanceof Error ? error.message : ''
  const unverified =
    awsCode(error) === 'MailFromDomainNotVerifiedException' ||
    (awsCode(error) === 'MessageRejected' && /not verified|authority to send/i.test(said))
  if (unverified)
    return new PlatformError(
      'unavailable_here',
      `SES does not send from ${sender} yet (${said}). Verify the identity: aws sesv2 create-email-identity --email-identity ${sender}, then follow the link in the mail that arrives; an account in the SES sandbox must verify every recipient too`,
      { cause: error },
    )
  return awsFailure(error, 'Sending mail', {
    MessageRejected: ['invalid_request', `SES refused the message: ${said}`],
    BadRequestException: ['invalid_request', `SES refused the message: ${said}`],
    SendingPausedException: ['unavailable', 'Sending mail is paused for this account or configuration set; resume it in SES'],
    AccountSuspendedException: ['unavailable', 'SES has suspended sending for this account; see its dashboard'],
    LimitExceededException: [
      'unavailable',
      'The account has used up its sending quota of SES; try again later',
      { retry_after_s: 3600 },
    ],
  })
}
