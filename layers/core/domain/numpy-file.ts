import { crc32 } from 'node:zlib'

/** Arrays as NumPy keeps them: what calibration and evaluation data are written as. */

/** An .npy file: `descr` as in `<f4`, data little-endian and row by row. Source: numpy.lib.format, version 1.0. */
export function npyFile(descr: string, dims: readonly number[], data: readonly Uint8Array[]): Buffer {
  const tuple = dims.length === 1 ? `${dims[0]},` : dims.join(', ')
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`
  // Data begin at a multiple of 64 bytes.
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const head = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1')
  head.writeUInt16LE(padded.length, 8)
  return Buffer.concat([head, Buffer.from(padded, 'latin1'), ...data])
}

/** Texts as an .npy file of code points, all as wide as the longest. */
export function textNpyFile(texts: readonly string[]): Buffer {
  const letters = texts.map((text) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0))
  const longest = Math.max(1, ...letters.map(({ length }) => length))
  const codes = new Uint32Array(texts.length * longest)
  for (const [at, text] of letters.entries()) codes.set(text, at * longest)
  return npyFile(`<U${longest}`, [texts.length], [new Uint8Array(codes.buffer)])
}

/** A zip whose members are stored as they are, which .npz is with members `<name>.npy`. Source: PKWARE's APPNOTE 4.3. */
export function storedZip(members: readonly { name: string; bytes: Uint8Array }[]): Buffer {
  const pieces: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const { name, bytes } of members) {
    const text = Buffer.from(name)
    const facts = memberFacts(text.length, bytes)
    const place = Buffer.alloc(14)
    place.writeUInt32LE(offset, 10)
    pieces.push(Buffer.from('PK\x03\x04', 'latin1'), facts, text, bytes)
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), facts, place, text)
    offset += 30 + text.length + bytes.length
  }
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  for (const at of [8, 10]) end.writeUInt16LE(members.length, at)
  end.writeUInt32LE(
    directory.reduce((sum, { length }) => sum + length, 0),
    12,
  )
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...pieces, ...directory, end])
}

/** What a member's own head and the directory both say: version 2.0; names are UTF-8; 1980-01-01, the first day there is. */
function memberFacts(name_bytes: number, bytes: Uint8Array): Buffer {
  const facts = Buffer.alloc(26)
  facts.writeUInt16LE(20, 0)
  facts.writeUInt16LE(0x0800, 2)
  facts.writeUInt16LE(0x21, 8)
  facts.writeUInt32LE(crc32(bytes), 10)
  facts.writeUInt32LE(bytes.length, 14)
  facts.writeUInt32LE(bytes.length, 18)
  facts.writeUInt16LE(name_bytes, 22)
  return facts
}
