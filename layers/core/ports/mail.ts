export interface Mail {
  send(message: MailMessage): Promise<{ message_id: string }>
}

export interface MailMessage {
  to: string[]
  subject: string
  text: string
  html?: string
  /**
   * Names this message for good, `[A-Za-z0-9._-]{1,120}`. Sent again with the same key it is the same message: the outbox keeps it once,
   * other transports give it the same `Message-ID`, by which mail programs drop the repeat.
   */
  key?: string
  attachments?: { file_name: string; content_type: string; content: Uint8Array }[]
}
