import * as z from 'zod'

/** What the pipeline is started with. */
export const ProvisionInput = z.object({
  organization_id: z.string(),
  deployment_id: z.string(),
  transition_id: z.string(),
  revision: z.number().int(),
})
export type ProvisionInput = z.infer<typeof ProvisionInput>
