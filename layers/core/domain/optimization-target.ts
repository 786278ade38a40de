import * as z from 'zod'
import type { Architecture } from './skus.ts'

const FORM = /^(?:this-machine|lambda-(arm64|x86_64)(?:-(\d{3,5}))?)$/
const [least_mb, most_mb] = [128, 10_240]

/** Where the optimised model is to serve. Without a size of memory, what it needs is chosen. */
export type ServingTarget = { kind: 'this-machine' } | { kind: 'lambda'; architecture: Architecture; memory_mb?: number }

/** Undefined when it names no target. */
export const servingTarget = (text: string): ServingTarget | undefined => {
  const [known, architecture, memory] = FORM.exec(text) ?? []
  if (known === undefined) return undefined
  if (architecture !== 'arm64' && architecture !== 'x86_64') return { kind: 'this-machine' }
  const memory_mb = memory === undefined ? undefined : Number(memory)
  if (memory_mb === undefined) return { kind: 'lambda', architecture }
  return memory_mb >= least_mb && memory_mb <= most_mb ? { kind: 'lambda', architecture, memory_mb } : undefined
}

export const OptimizationTarget = z
  .string()
  .refine((text) => servingTarget(text) !== undefined, {
    error: `wanted this-machine, lambda-arm64 or lambda-x86_64, the latter two perhaps with megabytes of memory (${least_mb}–${most_mb}), as lambda-arm64-1024`,
  })
  .describe(
    'Where it is to serve: `this-machine`, `lambda-arm64`, `lambda-x86_64`, the latter two perhaps with memory in MB, e.g. `lambda-arm64-1024`',
  )

/**
 * How the CPUs there multiply int8, as optimizers want to know; undefined: as this machine. x86 Lambda functions may run on
 * processors with VNNI, but AVX2 is all that is guaranteed.
 */
export const int8Of = (target: string): 'arm' | 'avx2' | undefined => {
  const parsed = servingTarget(target)
  if (parsed?.kind !== 'lambda') return undefined
  return parsed.architecture === 'arm64' ? 'arm' : 'avx2'
}
