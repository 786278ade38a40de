/** A member found on the way: where it stands and its value's text. */
export interface JsonMember {
  path: string[]
  text: string
}

const quote = 0x22
const backslash = 0x5c
const opens = new Set([0x7b, 0x5b])
const closes = new Set([0x7d, 0x5d])
/** Stands in a path for what lies in an array; no name of a member is like it. */
const inArray = '[]'
/** One product or offer is a few kilobytes; a document that holds a larger one is not a price list. */
const largest_bytes = 1_000_000

/**
 * The members of a JSON document whose path `wanted` accepts, one after another in their order, with constant memory: everything else is
 * skipped as bytes. Paths are of member names; inside arrays nothing is found. Fails with RangeError when a wanted value exceeds 1 MB,
 * with SyntaxError when the document ends too early.
 */
export const jsonMembers = async function* (
  source: AsyncIterable<Uint8Array>,
  wanted: (path: readonly string[]) => boolean,
): AsyncIterable<JsonMember> {
  const isWanted = (at: readonly string[]) => !at.includes(inArray) && wanted(at)
  const path: string[] = []
  let name: number[] = []
  let value: number[] | undefined
  let valueDepth = 0
  let depth = 0
  let inString = false
  let escaped = false
  let isName = true
  for await (const chunk of source)
    for (const byte of chunk) {
      if (value) {
        value.push(byte)
        if (value.length > largest_bytes) throw new RangeError(`${path.join('.')} is larger than ${largest_bytes} bytes`)
      }
      if (inString) {
        if (!value && isName && !(byte === quote && !escaped)) name.push(byte)
        if (escaped) escaped = false
        else if (byte === backslash) escaped = true
        else if (byte === quote) inString = false
        continue
      }
      if (byte === quote) {
        inString = true
        if (!value && isName) name = []
      } else if (byte === 0x3a) {
        isName = false
        if (!value) path[depth - 1] = textOf(name)
      } else if (byte === 0x2c) {
        isName = true
      } else if (opens.has(byte)) {
        isName = true
        depth++
        path.length = depth
        path[depth - 1] = byte === 0x5b ? inArray : ''
        if (!value && byte === 0x7b && isWanted(path.slice(0, depth - 1))) {
          value = [byte]
          valueDepth = depth
        }
      } else if (closes.has(byte)) {
        if (value && depth === valueDepth) {
          yield { path: path.slice(0, depth - 1), text: textOf(value) }
          value = undefined
        }
        depth--
        path.length = Math.max(depth, 0)
      }
    }
  if (depth !== 0 || inString) throw new SyntaxError(`The document ends inside ${path.join('.') || 'its first value'}`)
}

const textOf = (bytes: readonly number[]): string => Buffer.from(bytes).toString('utf8')
