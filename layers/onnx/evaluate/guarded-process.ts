import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { RunFault } from './fault.ts'

/** How often the resident size is looked at. 20 ms at memory-filling speed (about 5 GB/s) overshoots by 0.1 GB. */
const POLL_MS = 20
const PAGE_BYTES = 4096
const STDERR_KEPT_BYTES = 2048

export interface GuardedProcess {
  pid: number
  /**
   * Sends one request and waits for its answer. Fails with RunFault: `timeout` (the process is then killed), `memory`, `crashed`.
   * `label`: what the process is called in faults from then on.
   */
  ask(request: object, timeout_ms: number, label?: string): Promise<unknown>
  /** Resident bytes now; undefined where the system does not tell (no /proc) or the process is gone. */
  residentBytes(): number | undefined
  /** Kills it; resolves when it is gone. */
  stop(): Promise<void>
}

export interface ProcessLimits {
  memory_bytes: number
  /** What it is called in faults. */
  label: string
  /** Kills it where it is. */
  signal?: AbortSignal | undefined
}

function residentBytesOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES
  } catch {
    return undefined
  }
}

/**
 * A child process of Node with an empty environment that answers `{ id, … }` to `{ id, … }` over IPC, one request at a time,
 * and is killed when it takes longer or grows larger than allowed. The parent never waits on it with its own thread.
 */
export function startGuarded(entry: URL, limits: ProcessLimits): GuardedProcess {
  const heap_mb = Math.max(64, Math.min(4096, Math.floor(limits.memory_bytes / 2 ** 20)))
  const child = fork(entry, [], {
    execPath: process.execPath,
    execArgv: [`--max-old-space-size=${heap_mb}`, '--disable-warning=ExperimentalWarning'],
    env: {},
    cwd: tmpdir(),
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const named = { ...limits }
  const end = watchEnd(child, named)
  let next_id = 1
  return {
    pid: child.pid ?? -1,
    ask: (request, timeout_ms, label = named.label) => {
      named.label = label
      return exchange(child, end, { ...request, id: next_id++ }, timeout_ms, label)
    },
    residentBytes: () => (child.pid === undefined ? undefined : residentBytesOf(child.pid)),
    async stop() {
      child.kill('SIGKILL')
      await end.gone
    },
  }
}

interface End {
  gone: Promise<RunFault>
  /** Kills the child and gives the fault everybody waiting on it will see. */
  kill(fault: RunFault): void
}

/** Follows the child's memory and death. */
function watchEnd(child: ChildProcess, limits: ProcessLimits): End {
  let verdict: RunFault | undefined
  let stderr = ''
  const kill = (fault: RunFault) => {
    verdict ??= fault
    child.kill('SIGKILL')
  }
  const abort = () => kill(new RunFault('crashed', `${limits.label} was stopped`))
  if (limits.signal?.aborted) abort()
  limits.signal?.addEventListener('abort', abort)
  const poll = setInterval(() => {
    const resident = child.pid === undefined ? undefined : residentBytesOf(child.pid)
    if (resident === undefined || resident <= limits.memory_bytes) return
    kill(
      new RunFault('memory', `${limits.label} was stopped at ${resident} bytes of memory; wanted at most ${limits.memory_bytes}`),
    )
  }, POLL_MS)
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('latin1')).slice(-STDERR_KEPT_BYTES)
  })
  const gone = new Promise<RunFault>((resolve) => {
    const settle = (how: string) => {
      clearInterval(poll)
      limits.signal?.removeEventListener('abort', abort)
      const lines = stderr.trim().split('\n')
      const said = lines.findLast((line) => /error|abort|what\(\)/i.test(line)) ?? lines.at(-1)
      resolve(verdict ?? new RunFault('crashed', `${limits.label} died by itself (${how})${said ? `: ${said}` : ''}`))
    }
    child.once('error', (error) => settle(error.message))
    child.once('close', (code, signal) => settle(signal ? `signal ${signal}` : `exit code ${code}`))
  })
  return { gone, kill }
}

function exchange(child: ChildProcess, end: End, request: { id: number }, timeout_ms: number, label: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(timer)
      child.off('message', listen)
      settle()
    }
    const listen = (message: unknown) => {
      if (typeof message !== 'object' || message === null || !('id' in message) || message.id !== request.id) return
      finish(() => resolve(message))
    }
    const timer = setTimeout(
      () => end.kill(new RunFault('timeout', `${label} did not answer within ${timeout_ms} ms and was stopped`)),
      timeout_ms,
    )
    child.on('message', listen)
    end.gone.then((fault) => finish(() => reject(fault)))
    child.send(request, (error) => {
      // A dead child refuses the message; its end tells why.
      if (error && child.exitCode === null && child.signalCode === null && !child.killed) child.kill('SIGKILL')
    })
  })
}
