import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { defineOptimizer } from '../../layers/core/ports/optimizer.ts'

/** Optimizers as a user's extension file brings them: one honest, the others as bad as they come. */
const custom = { method: 'custom', summary: 'for tests', settings: z.looseObject({}), module: import.meta.url } as const

export const copying = defineOptimizer({
  ...custom,
  name: 'copying',
  suits: () => [{}],
  apply: async ({ model_path, candidate_path }) => {
    copyFileSync(model_path, candidate_path)
    return { notes: ['copied'] }
  },
})

export const bad = [
  defineOptimizer({
    ...custom,
    name: 'endless',
    suits: () => [{}],
    apply: async () => {
      for (;;);
    },
  }),
  defineOptimizer({
    ...custom,
    name: 'greedy',
    suits: () => [{}],
    apply: async () => {
      const hoard: Buffer[] = []
      for (;;) hoard.push(Buffer.alloc(64 * 2 ** 20, 1))
    },
  }),
  defineOptimizer({ ...custom, name: 'dying', suits: () => [{}], apply: async () => process.exit(7) }),
  defineOptimizer({
    ...custom,
    name: 'broken',
    suits: () => [{}],
    apply: async ({ model_path, candidate_path }) => {
      writeFileSync(candidate_path, readFileSync(model_path).subarray(0, 100))
      return { notes: [] }
    },
  }),
  defineOptimizer({ ...custom, name: 'reluctant', suits: () => 'it is Saturday', apply: async () => ({ notes: [] }) }),
]
