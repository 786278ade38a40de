export interface Mail {
  send(message: MailMessage): Promise<{ message_id: string }>
}

export interface MailMessage {
  to: string[]
  subject: string
  text: string
  html?: string
  attachments?: { file_name: string; content_type: string; content: Uint8Array }[]
}
