import { readFileSync } from 'node:fs'

/** Resident bytes of a process; 0 when it is gone or the system does not tell. Linux only. */
export const residentBytes = (pid: number): number => {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
