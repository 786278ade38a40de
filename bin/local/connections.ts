import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

interface Connection {
  gone: AbortController
  /** The newest answer; answers leave in order, so the older ones are out when this one is. */
  last: ServerResponse
}

/** What is known of the open connections. Kept by connection, because an AbortController for every request is mostly made in vain. */
export const connections = () => {
  const open = new WeakMap<Duplex, Connection>()
  return {
    /** A request that is to be answered with `response`; the signal aborts when its client goes away. */
    note: (socket: Duplex, response: ServerResponse): AbortSignal => {
      const known = open.get(socket)
      if (known) {
        known.last = response
        return known.gone.signal
      }
      const gone = new AbortController()
      open.set(socket, { gone, last: response })
      socket.once('close', () => gone.abort())
      return gone.signal
    },
    /** A request on this connection is not answered yet. */
    isAnswering: (socket: Duplex): boolean => {
      const last = open.get(socket)?.last
      return last !== undefined && !last.writableFinished && !last.closed
    },
  }
}
