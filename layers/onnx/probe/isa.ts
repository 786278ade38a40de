import { readFileSync } from 'node:fs'
import { arch } from 'node:os'

/**
 * How this machine multiplies int8. `vnni`: no int16 saturation and fast, every weight type is exact. `avx2`: `vpmaddubsw`
 * saturates int16, so full-range s8 weights lose up to 20 dB; use u8 or 7-bit weights. `arm`: dot products, exact.
 * `unknown`: treated as `avx2`, the cautious reading.
 */
export type Int8Support = 'vnni' | 'avx2' | 'arm' | 'unknown'

const VNNI = new Set(['avx512_vnni', 'avx_vnni', 'avx_vnni_int8', 'amx_int8'])

/** From the text of /proc/cpuinfo: `flags` on x86, `Features` on ARM. */
export function int8SupportOf(cpuinfo: string, architecture: string): Int8Support {
  if (architecture === 'arm64') return 'arm'
  const flags = /^flags\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(/\s+/) ?? []
  if (flags.some((flag) => VNNI.has(flag))) return 'vnni'
  return flags.includes('avx2') ? 'avx2' : 'unknown'
}

/** Of the machine this runs on; `unknown` where the kernel does not tell. */
export function int8Support(): Int8Support {
  try {
    return int8SupportOf(readFileSync('/proc/cpuinfo', 'utf8'), arch())
  } catch {
    return int8SupportOf('', arch())
  }
}
