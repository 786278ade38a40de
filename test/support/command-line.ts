import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Said {
  code: number | null
  out: string
  err: string
}

/** A folder of its own for a command, with another inside it as the system's temporary one. */
export const commandFolder = (): { folder: string; temporary: string; remove(): void } => {
  const folder = mkdtempSync(join(tmpdir(), 'command-'))
  const temporary = join(folder, 'tmp')
  mkdirSync(temporary)
  return { folder, temporary, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export const launcher = join(import.meta.dirname, '../../bin/aideploy.js')

/** Runs `aideploy` as from a shell. `meanwhile` sees its process and what it has said on standard error so far. */
export const aideploy = (
  args: readonly string[],
  options: {
    temporary?: string
    cwd?: string
    env?: Record<string, string>
    node?: string
    script?: string
    meanwhile?: (err: string, pid: number) => void
  } = {},
): Promise<Said> =>
  new Promise((resolve, reject) => {
    const env = { PATH: '/usr/bin:/bin', ...(options.temporary && { TMPDIR: options.temporary }), ...options.env }
    const child = spawn(options.node ?? process.execPath, [options.script ?? launcher, ...args], {
      env,
      ...(options.cwd && { cwd: options.cwd }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [out, err] = ['', '']
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString()
    })
    child.stderr.on('data', (piece: Buffer) => {
      err += piece.toString()
      options.meanwhile?.(err, child.pid ?? -1)
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
  })
