import * as z from 'zod'
import type { Log } from '../../layers/core/ports/log.ts'

/** What CloudFormation sends for a custom resource. */
const StackEvent = z.object({
  RequestType: z.enum(['Create', 'Update', 'Delete']),
  ResponseURL: z.url(),
  StackId: z.string(),
  RequestId: z.string(),
  LogicalResourceId: z.string(),
  PhysicalResourceId: z.string().optional(),
})
type StackEvent = z.infer<typeof StackEvent>

/**
 * A custom resource that has something to do only when its stack goes. Answers whether the event was CloudFormation's; the stack hears of
 * the end at the address it sent, and stays where it is when `remove` failed.
 */
export const stackEvent =
  (log: Log, remove: () => Promise<string>) =>
  async (event: unknown): Promise<boolean> => {
    const { success, data } = StackEvent.safeParse(event)
    if (!success) return false
    try {
      await tell(log, data, 'SUCCESS', data.RequestType === 'Delete' ? await remove() : 'nothing to do')
    } catch (error) {
      await tell(log, data, 'FAILED', error instanceof Error ? error.message : String(error))
      throw error
    }
    return true
  }

/** CloudFormation takes 4 kB, reason included. */
const mostReason = 1_000

const tell = async (log: Log, event: StackEvent, Status: 'SUCCESS' | 'FAILED', reason: string): Promise<void> => {
  const { StackId, RequestId, LogicalResourceId, PhysicalResourceId = 'deployments' } = event
  const Reason = reason.slice(0, mostReason)
  const body = JSON.stringify({ Status, Reason, StackId, RequestId, LogicalResourceId, PhysicalResourceId })
  const reply = await fetch(event.ResponseURL, { method: 'PUT', body, headers: { 'content-type': '' } })
  if (!reply.ok) log.error('stack_not_told', { status: reply.status })
}
