/** The model process loads its runtime while this one still reads its own code: on one core too, much of that is waiting for disk. */
import './first-process.ts'

export const { handler } = await import('./serve.ts')
