import type { Duplex } from 'node:stream'
import type { App } from '../../layers/core/ports/app.ts'

const answers: Record<string, readonly [status: number, title: string, code: string, detail: string]> = {
  HPE_HEADER_OVERFLOW: [431, 'Headers too large', 'header_too_large', 'The headers exceed 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request timed out', 'bad_request', 'The headers of this request did not arrive in time'],
}
const malformed = [400, 'Bad request', 'bad_request', 'This is not an HTTP/1.1 request'] as const

/**
 * Answers what never became a request: bad syntax, headers over the limit or too slow. Where another answer is still on its way on the
 * same connection nothing is written into it; the connection just ends.
 */
export const refuse = (app: Pick<App, 'log' | 'newId' | 'config'>, isAnswering: (socket: Duplex) => boolean) => {
  return (error: NodeJS.ErrnoException, socket: Duplex): void => {
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) return void socket.destroy()
    const [status, title, code, detail] = answers[error.code ?? ''] ?? malformed
    const request_id = app.newId('req')
    const type = `${app.config.public_url}/docs#error-${code}`
    const body = JSON.stringify({ type, title, status, detail, instance: null, code, errors: [], request_id })
    app.log.info('request', { request_id, route: null, status, ms: 0, code })
    socket.end(
      `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${request_id}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
}
