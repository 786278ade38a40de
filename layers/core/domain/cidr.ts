/** An address as a number: 32 bits for IPv4 (IPv4-mapped IPv6 included, RFC 4291 §2.5.5.2), 128 for IPv6. */
export interface Address {
  bits: 32 | 128
  value: bigint
}

const mapped_prefix = 0xffffn << 32n

/** Reads `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1`, with or without a zone; undefined for anything else. */
export const parseAddress = (text: string): Address | undefined => {
  const plain = text.replace(/%.*$/, '')
  if (!plain.includes(':')) return version4(plain)
  const value = version6(plain)
  if (value === undefined) return undefined
  return value >> 32n === mapped_prefix >> 32n ? { bits: 32, value: value & 0xffff_ffffn } : { bits: 128, value }
}

/** Whether `address` lies in `cidr`, e.g. `10.0.0.0/8`; false when either cannot be read or their families differ. */
export const inCidr = (address: string, cidr: string): boolean => {
  const [network = '', length = ''] = cidr.split('/')
  const inside = parseAddress(address)
  const base = parseAddress(network)
  if (!inside || !base || inside.bits !== base.bits || !/^\d{1,3}$/.test(length)) return false
  const prefix_bits = prefixBits(network, base, Number(length))
  if (prefix_bits < 0 || prefix_bits > base.bits) return false
  const host_bits = BigInt(base.bits - prefix_bits)
  return inside.value >> host_bits === base.value >> host_bits
}

/** The part of an address that one customer of a network controls: an IPv4 address, the /64 of an IPv6 one (RFC 6177). */
export const addressBlock = (text: string): string => {
  const address = parseAddress(text)
  if (!address) return text.slice(0, 64)
  return address.bits === 32 ? `4:${address.value}` : `6:${address.value >> 64n}`
}

/** `::ffff:10.0.0.0/104` counts from the front of 128 bits, the address behind it has 32. */
const prefixBits = (network: string, base: Address, length: number): number =>
  base.bits === 32 && network.includes(':') ? length - 96 : length

const version4 = (text: string): Address | undefined => {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined
  return { bits: 32, value: parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) }
}

const version6 = (text: string): bigint | undefined => {
  const dotted = text.match(/^(.*:)(\d+\.\d+\.\d+\.\d+)$/)
  const tail = dotted && version4(dotted[2] ?? '')
  if (dotted && !tail) return undefined
  const plain = tail ? `${dotted?.[1]}${(tail.value >> 16n).toString(16)}:${(tail.value & 0xffffn).toString(16)}` : text
  const halves = plain.split('::')
  if (halves.length > 2) return undefined
  const [front = [], back = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const missing = 8 - front.length - back.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const groups = [...front, ...Array.from({ length: missing }, () => '0'), ...back]
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}
