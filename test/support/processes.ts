import { readdirSync, readFileSync } from 'node:fs'

/** Processes of this machine, read from `/proc`. */
export interface RunningProcess {
  pid: number
  parent_pid: number
  command: string
}

export const processes = (): RunningProcess[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return state === 'Z' ? [] : [{ pid: Number(name), parent_pid: Number(parent), command }]
      } catch {
        return []
      }
    })

/** Everything below a process, however deep. */
export const descendants = (pid: number): RunningProcess[] => {
  const all = processes()
  const below = (parent: number): RunningProcess[] =>
    all.filter(({ parent_pid }) => parent_pid === parent).flatMap((child) => [child, ...below(child.pid)])
  return below(pid)
}

/** A small generator of numbers in [0, 1) (mulberry32), so that a run can be repeated from its seed. */
export const seeded = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
