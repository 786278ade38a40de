import type { IncomingMessage } from 'node:http'

/**
 * Ends requests whose body stops arriving: between two looks no byte came although all that did come was read. One timer serves all,
 * because a timer a request would cost more than reading a small body.
 */
export const idleBodies = (idle_ms: number) => {
  const receiving = new Map<IncomingMessage, number>()
  const look = (): void => {
    for (const [request, seen_bytes] of receiving) {
      const { bytesRead } = request.socket
      if (request.complete) receiving.delete(request)
      else if (bytesRead === seen_bytes && request.readableLength === 0)
        request.destroy(new Error(`No byte of the body arrived for ${idle_ms} ms`))
      else receiving.set(request, bytesRead)
    }
  }
  const timer = setInterval(look, idle_ms).unref()
  return {
    /** A body that is expected from now on. */
    watch: (request: IncomingMessage): void => {
      receiving.set(request, -1)
      request.once('close', () => receiving.delete(request))
    },
    stop: (): void => clearInterval(timer),
  }
}
