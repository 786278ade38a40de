import { deflateRawSync } from 'node:zlib'

export interface ArchiveFile {
  name: string
  content: Uint8Array
  deflate?: boolean
  /** What the directory claims, when it lies. */
  claimed_bytes?: number
}

/** A zip archive (checksums left at zero: only its directory is of interest). */
export const zipOf = (files: readonly ArchiveFile[]): Buffer => {
  const bodies: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, content, deflate, claimed_bytes } of files) {
    const packed = deflate ? deflateRawSync(content) : content
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(Buffer.byteLength(name), 26)
    const entry = Buffer.alloc(46)
    entry.writeUInt32LE(0x02014b50, 0)
    entry.writeUInt16LE(deflate ? 8 : 0, 10)
    entry.writeUInt32LE(packed.length, 20)
    entry.writeUInt32LE(claimed_bytes ?? content.length, 24)
    entry.writeUInt16LE(Buffer.byteLength(name), 28)
    entry.writeUInt32LE(offset, 42)
    bodies.push(local, Buffer.from(name), Buffer.from(packed))
    directory.push(entry, Buffer.from(name))
    offset += 30 + Buffer.byteLength(name) + packed.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(Buffer.concat(directory).length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...bodies, ...directory, end])
}

/** A ustar archive. */
export const tarOf = (files: readonly { name: string; content: Uint8Array; link?: boolean }[]): Buffer => {
  const blocks = files.flatMap(({ name, content, link }) => {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write(content.length.toString(8).padStart(11, '0'), 124)
    header.write(link ? '2' : '0', 156)
    header.write('ustar\x0000', 257)
    return [header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

/** One length-delimited protobuf field. */
export const field = (number: number, payload: Uint8Array | string): Buffer => {
  const body = Buffer.from(payload)
  return Buffer.concat([varint((number << 3) | 2), varint(body.length), body])
}
export const varint = (value: number): Buffer => {
  const out: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.push((rest & 0x7f) | 0x80)
  return Buffer.from([...out, rest])
}
