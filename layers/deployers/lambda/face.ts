import type { Deployer } from '../../core/ports/deployer.ts'
import { grants } from './grants.ts'
import { lambdaLadder } from './ladder.ts'
import { lambdaSettings, most_memory_mb, most_timeout_s } from './settings.ts'

/** What the type is and takes, without what carries it out: no SDK is needed to know it. */
export const lambdaFace = {
  type: 'serverless',
  summary: 'One AWS Lambda function per deployment, with an address of its own; costs nothing while nobody calls',
  settings: lambdaSettings,
  capabilities: {
    frameworks: ['onnx'],
    scales_to_zero: true,
    gpu: false,
    max_memory_bytes: most_memory_mb * 2 ** 20,
    max_timeout_s: most_timeout_s,
    meters_itself: true,
    records_requests: true,
  },
  needs: [...new Set(grants.flatMap(({ actions }) => actions))].sort(),
  ladder: lambdaLadder,
} as const satisfies Partial<Deployer>
