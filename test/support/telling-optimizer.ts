import { copyFileSync } from 'node:fs'
import * as z from 'zod'
import { defineOptimizer } from '../../layers/core/ports/optimizer.ts'

/** Copies the model and tells what it was given. */
export const telling = defineOptimizer({
  method: 'custom',
  summary: 'for tests',
  settings: z.looseObject({}),
  module: import.meta.url,
  name: 'telling',
  suits: () => [{}],
  apply: async (input) => {
    copyFileSync(input.model_path, input.candidate_path)
    return { notes: [JSON.stringify(input)] }
  },
})
