/** Bytes per unit: decimal as SI, binary as IEC 80000-13. */
const units: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** `10MB`, `1.5 GiB` or `2000B` in whole bytes; undefined when it is no size, less than a byte, or too large to be counted. */
export const sizeBytesOf = (text: string): number | undefined => {
  const [, amount, unit] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B)\s*$/i.exec(text) ?? []
  const factor = units[unit?.toLowerCase() ?? '']
  if (amount === undefined || factor === undefined) return undefined
  const bytes = Math.round(Number(amount) * factor)
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined
}
