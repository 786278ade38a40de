/** Stands in for an inspection that a hostile file keeps busy for ever. */
process.on('message', () => {
  for (;;);
})
