import * as z from 'zod'
import { Inspection } from '../domain/model.ts'

/** The state of the pipeline `optimize-model`, read by each of its steps as far as it is there by then. */
export const OptimizationInput = z.object({ organization_id: z.string(), optimization_id: z.string() })

export const InspectedState = OptimizationInput.extend({ original: z.string(), inspection: Inspection })

export const CandidateState = OptimizationInput.extend({
  original: z.string(),
  /** One turn of the search; what is tried in it is decided when it comes, and stands in the record. */
  item: z.object({ index: z.number().int(), measure_ms: z.number().optional(), confirm: z.number().int().optional() }),
})

export const ChosenState = OptimizationInput.extend({ chosen: z.string().nullable() })

export const LastState = OptimizationInput.extend({ failure: z.object({ code: z.string(), detail: z.string() }).optional() })
