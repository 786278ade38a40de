/**
 * Computes again only when `key` differs from the last one: the reference takes 20 ms of the thread that serves everybody and needs no
 * sign-in, so that making it anew for every request would let anyone stall the host.
 */
export const onceFor = <Made>(make: () => Made): ((key: string) => Made) => {
  let last: { key: string; made: Made } | undefined
  return (key) => {
    if (last?.key !== key) last = { key, made: make() }
    return last.made
  }
}
