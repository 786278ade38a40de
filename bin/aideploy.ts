import { isPlatformError } from '../layers/core/contract/errors.ts'
import { nearest } from '../layers/core/domain/spelling.ts'
import { ArrayFault } from '../layers/onnx/evaluate/npy.ts'
import { OnnxFault } from '../layers/onnx/fault.ts'
import { ownVersion } from './aideploy/measured-on.ts'
import { type Terminal, terminalOf } from './aideploy/terminal.ts'
import { usage } from './aideploy/usage.ts'
import { UsageFault } from './aideploy/values.ts'
import { asFlags, harmless } from './aideploy/words.ts'

/** `aideploy optimize | inspect | compare`: the model compiler without the platform. */

type Command = (args: readonly string[], terminal: Terminal, signal: AbortSignal) => Promise<number>
const commands: Record<string, () => Promise<Command>> = {
  optimize: async () => (await import('./aideploy/optimize.ts')).optimize,
  inspect: async () => (await import('./aideploy/inspect.ts')).inspect,
  compare: async () => (await import('./aideploy/compare.ts')).compare,
}

async function run(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  const [name = '', ...rest] = args
  if (['', 'help', '--help', '-h'].includes(name)) {
    ;(name === '' ? terminal.err : terminal.out)(usage.all)
    return name === '' ? 1 : 0
  }
  if (name === '--version' || name === '-v') {
    terminal.out(`${ownVersion()}\n`)
    return 0
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load) return (await load())(rest, terminal, signal)
  const near = nearest(name, Object.keys(commands))
  throw new UsageFault(
    `There is no command ${JSON.stringify(name)}; wanted ${Object.keys(commands).join(', ')}${near ? ` (did you mean ${near}?)` : ''}`,
  )
}

/** One line for what the caller can mend; where this program is at fault, also where. */
const explain = (error: unknown): string => {
  if (error instanceof UsageFault) return `${error.message}\nTry aideploy --help`
  if (error instanceof ArrayFault || error instanceof OnnxFault) return asFlags(error.message)
  if (isPlatformError(error) && error.code !== 'internal') return asFlags(error.message)
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** The first Ctrl-C ends the search in order, the second one at once. */
function interruptible(terminal: Terminal): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130)
      terminal.err('\nstopping …\n')
      controller.abort()
    })
  // Started by its launcher, which may be killed: nothing goes on without it.
  process.once('disconnect', () => process.exit(1))
  process.channel?.unref()
  return controller.signal
}

const terminal = terminalOf(process, process.env)
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
process.exitCode = await run(process.argv.slice(2), terminal, interruptible(terminal)).catch((error: unknown) => {
  const lines = explain(error).split('\n').map(harmless)
  terminal.err(`aideploy: ${lines.join('\n')}\n`)
  return 1
})
