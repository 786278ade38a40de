import { crc32, deflateRawSync } from 'node:zlib'

/** The bytes of one .npy array, version 1. */
export const npyBytes = (descr: string, dims: number[], data: Uint8Array, fortran = false): Buffer => {
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ')
  const header = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${shape}), }`
  const padded = `${header.padEnd(117)}\n`
  const length = Buffer.alloc(2)
  length.writeUInt16LE(padded.length)
  return Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY'), Buffer.from([1, 0]), length, Buffer.from(padded), data])
}

/** A zip of named entries, stored (method 0) or deflated (method 8), as numpy.savez and savez_compressed write. */
export const npzBytes = (entries: Record<string, Uint8Array>, method: number): Buffer => {
  const parts: Buffer[] = []
  const records: Buffer[] = []
  let offset = 0
  for (const [name, data] of Object.entries(entries)) {
    const packed = method === 8 ? deflateRawSync(data) : Buffer.from(data)
    const fields = Buffer.alloc(22)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(method, 4)
    fields.writeUInt32LE(crc32(data), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(data.length, 18)
    const lengths = Buffer.alloc(4)
    lengths.writeUInt16LE(Buffer.byteLength(name), 0)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, lengths, Buffer.from(name), packed])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    records.push(
      Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), Buffer.from([20, 0]), fields, lengths, rest, Buffer.from(name)]),
    )
    parts.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(records)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(records.length, 8)
  end.writeUInt16LE(records.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, directory, end])
}

/** The bytes of one idx array; `data` big-endian already. */
export const idxBytes = (type: number, dims: number[], data: Uint8Array): Buffer => {
  const header = Buffer.alloc(4 + 4 * dims.length)
  header[2] = type
  header[3] = dims.length
  for (const [axis, size] of dims.entries()) header.writeUInt32BE(size, 4 + 4 * axis)
  return Buffer.concat([header, data])
}

/** Texts as NumPy's `<U{width}` holds them. */
export const utf32 = (texts: string[], width: number): Uint8Array => {
  const points = new Uint32Array(texts.length * width)
  for (const [at, text] of texts.entries())
    points.set(
      [...text].map((each) => each.codePointAt(0) ?? 0),
      at * width,
    )
  return new Uint8Array(points.buffer)
}
