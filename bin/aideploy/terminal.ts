import type { Kind } from './attempt-words.ts'

/** The two streams of a command, and whether people look at them. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Columns of standard output; 80 where it is no terminal. */
  width: number
  /** Whether standard error is a terminal on which a line may be drawn over. */
  live: boolean
  /** Columns of standard error. */
  live_width: number
  paint(kind: Kind | 'dim' | 'bold', text: string, stream?: 'out' | 'err'): string
}

const codes: Record<Kind | 'dim' | 'bold', string> = {
  written: '1;32',
  acceptable: '32',
  inconclusive: '33',
  slower: '33',
  'no gain': '33',
  unfaithful: '31',
  failed: '31',
  'not built': '2',
  dim: '2',
  bold: '1',
}

interface Stream {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

/** Colour and drawing over only on terminals, and neither with `NO_COLOR` (https://no-color.org) or TERM=dumb. */
export function terminalOf(
  { stdout, stderr }: { stdout: Stream; stderr: Stream },
  { NO_COLOR, TERM }: { NO_COLOR?: string | undefined; TERM?: string | undefined },
): Terminal {
  const plain = (NO_COLOR !== undefined && NO_COLOR !== '') || TERM === 'dumb'
  const coloured = { out: stdout.isTTY === true && !plain, err: stderr.isTTY === true && !plain }
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    width: Math.max(60, stdout.isTTY ? stdout.columns || 80 : 80),
    live: stderr.isTTY === true && TERM !== 'dumb',
    live_width: Math.max(40, stderr.columns || 80),
    paint: (kind, text, stream = 'out') => (coloured[stream] ? `\x1b[${codes[kind]}m${text}\x1b[0m` : text),
  }
}
