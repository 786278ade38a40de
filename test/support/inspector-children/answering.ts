import { basename } from 'node:path'

/** Answers by the name of the file: `fault` and `bug` fail, everything else is described, after a moment. */
process.on('message', (question: { id: number; path: string }) => {
  const name = basename(question.path)
  const faults: Record<string, object> = {
    fault: { code: 'truncated', detail: 'ends at byte 12' },
    bug: { code: 'internal', detail: 'TypeError' },
  }
  setTimeout(
    () => process.send?.({ id: question.id, ...(faults[name] ? { fault: faults[name] } : { inspection: { format: name } }) }),
    20,
  )
})
