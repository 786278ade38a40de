import type { SendMailOptions } from 'nodemailer'
import { PlatformError } from '../core/contract/errors.ts'
import type { MailMessage } from '../core/ports/mail.ts'

/** A message for nodemailer. Content never names a file or a URL to be fetched. Fails with `invalid_request` without a recipient. */
export const mailOptions = (message: MailMessage, from: string): SendMailOptions => {
  if (message.to.length === 0) throw new PlatformError('invalid_request', 'A message wants at least one recipient, got none')
  const attachments = (message.attachments ?? []).map(({ file_name, content_type, content }) => ({
    filename: file_name,
    contentType: content_type,
    content: Buffer.from(content),
  }))
  const { to, subject, text, html, key } = message
  return {
    from,
    to,
    subject,
    text,
    ...(html !== undefined && { html }),
    ...(key !== undefined && { messageId: `<${checkedKey(key)}@${domainOf(from)}>` }),
    attachments,
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

/** A key names a file and stands in a header. */
export const checkedKey = (key: string): string => {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/.test(key))
    throw new PlatformError(
      'invalid_request',
      `A message key is 1 to 120 of A-Z a-z 0-9 . _ -, got ${JSON.stringify(key.slice(0, 80))}`,
    )
  return key
}

const domainOf = (from: string): string => /@([A-Za-z0-9.-]+)/.exec(from)?.[1] ?? 'aideploy.invalid'
