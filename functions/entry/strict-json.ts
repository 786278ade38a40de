import { PlatformError } from '../../layers/core/contract/errors.ts'

const max_depth = 64

/**
 * `JSON.parse` for request bodies: refuses duplicate keys (readers disagree on which one wins), `__proto__` keys and nesting
 * deeper than 64 (validators recurse), and says where. Numbers beyond 1e308 are refused as well.
 */
export const parseJson = (text: string): unknown => {
  const value = parseOrExplain(text)
  scan(text)
  refuseInfinity(value, '')
  return value
}

const parseOrExplain = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new PlatformError('malformed_body', `The body is not JSON: ${cause instanceof Error ? cause.message : 'unreadable'}`, {
      cause,
    })
  }
}

/** Safe to recurse: the scan has bounded the depth. */
const refuseInfinity = (value: unknown, at: string): void => {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
    throw new PlatformError('malformed_body', `The number at ${at || 'the top'} is out of range`)
  if (typeof value === 'object' && value !== null)
    for (const [key, member] of Object.entries(value)) refuseInfinity(member, `${at}/${key}`)
}

/** One pass over text that is known to be JSON: only strings and brackets matter. */
const scan = (text: string): void => {
  const keys: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at)
    if (character === 0x7b || character === 0x5b) {
      keys.push(character === 0x7b ? new Set() : undefined)
      if (keys.length > max_depth)
        throw new PlatformError('malformed_body', `The body nests deeper than ${max_depth} at position ${at}`)
    } else if (character === 0x7d || character === 0x5d) keys.pop()
    else if (character === 0x22) at = readString(text, at, keys.at(-1))
  }
}

/** Reads the string that opens at `start`; when a colon follows it is a key. Answers the position of its closing quote. */
const readString = (text: string, start: number, keys: Set<string> | undefined): number => {
  let end = start + 1
  while (text.charCodeAt(end) !== 0x22) end += text.charCodeAt(end) === 0x5c ? 2 : 1
  if (keys !== undefined && text.charCodeAt(afterBlanks(text, end + 1)) === 0x3a)
    noteKey(String(JSON.parse(text.slice(start, end + 1))), start, keys)
  return end
}

/** JSON knows four blanks, and any number of them may stand between a key and its colon. */
const afterBlanks = (text: string, start: number): number => {
  let at = start
  while (' \t\r\n'.includes(text.charAt(at)) && at < text.length) at += 1
  return at
}

const noteKey = (key: string, at: number, keys: Set<string>): void => {
  if (key === '__proto__') throw new PlatformError('malformed_body', `The key "__proto__" at position ${at} is not allowed`)
  if (keys.has(key))
    throw new PlatformError(
      'malformed_body',
      `The key ${JSON.stringify(key)} stands twice in one object, again at position ${at}`,
    )
  keys.add(key)
}
