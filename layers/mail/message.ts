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
  const { to, subject, text, html } = message
  return {
    from,
    to,
    subject,
    text,
    ...(html !== undefined && { html }),
    attachments,
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}
