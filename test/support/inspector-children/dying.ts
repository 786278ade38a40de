/** Stands in for an inspection that a hostile file kills. */
process.on('message', () => process.abort())
