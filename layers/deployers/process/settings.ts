import { availableParallelism, totalmem } from 'node:os'
import * as z from 'zod'
import { cpuCores, memoryBytes } from '../../core/domain/memory-size.ts'

/** Below this the runtime itself does not fit: an idle model process holds about 90 MB. */
const least_memory_bytes = 128 * 2 ** 20

export const machine = (): { cpus: number; memory_bytes: number } => ({ cpus: availableParallelism(), memory_bytes: totalmem() })

/** Threads of one model process: whole cores, at least one. */
export const threadsOf = (cpu: string): number => Math.max(1, Math.floor(cpuCores(cpu)))

/** What a deployment on this machine may ask for; messages say what there is. */
export const processSettings = z.object({
  resource_requirements: z.looseObject({
    cpu: z.string().superRefine((cpu, context) => {
      const { cpus } = machine()
      if (!(cpuCores(cpu) > 0 && cpuCores(cpu) <= cpus))
        context.addIssue({
          code: 'custom',
          message: `got ${cpu}, wanted more than 0 and at most the ${cpus} cores of this machine`,
        })
    }),
    memory: z.string().superRefine((memory, context) => {
      const bytes = memoryBytes(memory)
      const most = machine().memory_bytes
      if (bytes < least_memory_bytes || bytes > most)
        context.addIssue({
          code: 'custom',
          message: `got ${memory}, wanted 128Mi to ${Math.floor(most / 2 ** 20)}Mi, the memory of this machine`,
        })
    }),
    gpu: z.null(
      'serverless on this machine has no GPU: wanted null; types that can have one are sagemaker and kubernetes, where they are available',
    ),
  }),
})
