import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearest } from '../../layers/core/domain/spelling.ts'
import { UsageFault } from './values.ts'

type Options = NonNullable<ParseArgsConfig['options']>
const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** How rows and outputs are to be read, and what a candidate must keep: for every command that judges one. */
const judging = {
  calibrate: text,
  eval: text,
  labels: text,
  metric: text,
  output: text,
  alphabet: text,
  blank: text,
  gate: text,
  'gate-sqnr': text,
  'gate-loss': text,
  'class-output': text,
  shape: { type: 'string', multiple: true },
  'allow-slower': flag,
} as const
const always = { json: flag, quiet: { type: 'boolean', short: 'q' }, help: { type: 'boolean', short: 'h' } } as const

export const optimizeOptions = {
  'target-size': text,
  'target-latency': text,
  method: text,
  precision: text,
  sparsity: text,
  set: { type: 'string', multiple: true },
  target: text,
  budget: text,
  out: { type: 'string', short: 'o' },
  report: text,
  ...judging,
  ...always,
} as const
export const compareOptions = { ...judging, target: text, budget: text, ...always } as const
export const inspectOptions = { target: text, ...always } as const

/** Options and what stands between them. A flag nobody knows is answered with the one that was probably meant. */
export const readArguments = <const Known extends Options>(args: readonly string[], options: Known) => {
  try {
    return parseArgs<{ args: string[]; options: Known; allowPositionals: true }>({
      args: [...args],
      options,
      allowPositionals: true,
    })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const unknown = /^Unknown option '(-[^']*)'/.exec(message)?.[1]
    if (unknown === undefined) throw new UsageFault(message.split('. ')[0] ?? message)
    const near = nearest(unknown.replace(/^-+/, ''), Object.keys(options))
    throw new UsageFault(`There is no option ${unknown}${near ? `; did you mean --${near}?` : ''}`)
  }
}

/** Exactly `count` files. */
export const filesOf = (positionals: readonly string[], count: number, wanted: string): string[] => {
  if (positionals.length === count) return [...positionals]
  const got = positionals.length === 0 ? 'none' : positionals.map((one) => JSON.stringify(one)).join(' ')
  throw new UsageFault(`Wanted ${wanted}, got ${got}`)
}
