import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** Enough of RFC 5321 to take a message; `refuse` names a command that is answered with 550. */
export const smtpServer = async (options: { refuse?: string; auth?: boolean } = {}) => {
  const commands: string[] = []
  const messages: string[] = []
  const talk = (socket: Socket): void => {
    let buffer = ''
    let in_data = false
    socket.write('220 loopback\r\n')
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      buffer += chunk.toString('utf8')
      for (
        let end = buffer.indexOf(in_data ? '\r\n.\r\n' : '\r\n');
        end >= 0;
        end = buffer.indexOf(in_data ? '\r\n.\r\n' : '\r\n')
      ) {
        const part = buffer.slice(0, end)
        buffer = buffer.slice(end + (in_data ? 5 : 2))
        if (in_data) {
          messages.push(part)
          in_data = false
          socket.write('250 taken\r\n')
          continue
        }
        commands.push(part)
        const verb = part.split(' ')[0]?.toUpperCase() ?? ''
        if (verb === options.refuse) socket.write(`550 refused, you said ${part}\r\n`)
        else if (verb === 'EHLO') socket.write(options.auth ? '250-loopback\r\n250 AUTH PLAIN\r\n' : '250 loopback\r\n')
        else if (verb === 'AUTH') socket.write('235 welcome\r\n')
        else if (verb === 'DATA') {
          in_data = true
          socket.write('354 go on\r\n')
        } else if (verb === 'QUIT') socket.end('221 bye\r\n')
        else socket.write('250 fine\r\n')
      }
    })
  }
  const server = createServer(talk).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = () => new Promise<void>((resolve) => server.close(() => resolve()))
  return { port: (server.address() as AddressInfo).port, commands, messages, stop }
}
