/** Stands in for an inspection that a hostile file makes swallow memory. */
process.on('message', () => {
  const held: Buffer[] = []
  setInterval(() => held.push(Buffer.alloc(64 * 2 ** 20, 1)), 5)
})
