import * as z from 'zod'

/** What differs between stages; given as CDK context, e.g. `cdk synth -c stage=prod -c logRetentionDays=90`. */
export const Stage = z
  .object({
    stage: z.enum(['dev', 'prod']).default('dev'),
    logRetentionDays: z.coerce.number().int().positive().optional(),
    corsOrigins: z
      .string()
      .default('')
      .transform((list) => list.split(',').filter((origin) => origin !== '')),
  })
  .transform(({ stage, logRetentionDays, corsOrigins }) => ({
    name: stage,
    /** Stateful parts outlive their stack; in prod they also refuse deletion. */
    protectData: stage === 'prod',
    logRetentionDays: logRetentionDays ?? (stage === 'prod' ? 90 : 14),
    corsOrigins,
    throttle: stage === 'prod' ? { rateLimit: 1000, burstLimit: 2000 } : { rateLimit: 100, burstLimit: 200 },
  }))
export type Stage = z.infer<typeof Stage>
