import * as z from 'zod'
import { JsonValue } from '../../domain/json.ts'
import type { RouteRow } from '../route-row.ts'

const row = {
  function: 'inference',
  surface: 'open-inference',
  role: 'endpoint',
  action: 'deployments:invoke',
  // Asynchronous endpoints take their input from the bucket and leave the result there.
  needs: ['records:read', 'records:write', 'workflows:start', 'deployers:invoke', 'artifacts:read', 'artifacts:write'],
  transfer: 'stream',
  status: 200,
} as const
const params = z.object({ deployment_id: z.string() })
const accepts = ['application/json', 'application/octet-stream'] as const

export const inferenceRoutes = {
  infer: {
    ...row,
    method: 'POST',
    path: '/deployments/{deployment_id}/inference',
    summary:
      'Predict: protocol tensors, a nested array, or {name: nested array} under `inputs`; `outputs` come back in the same form',
    params,
    accepts,
    body: z.object({ inputs: JsonValue }),
    reply: z.object({ outputs: JsonValue }),
  },
  'infer-get': {
    ...row,
    method: 'GET',
    path: '/deployments/{deployment_id}/inference/{path+}',
    summary: 'Open Inference Protocol v2: metadata, liveness and readiness below `v2`',
    params: params.extend({ path: z.string() }),
    reply: JsonValue,
  },
  'infer-post': {
    ...row,
    method: 'POST',
    path: '/deployments/{deployment_id}/inference/{path+}',
    summary: 'Open Inference Protocol v2: `v2/models/{name}/infer`, JSON or binary extension',
    params: params.extend({ path: z.string() }),
    accepts,
    body: JsonValue,
    reply: JsonValue,
  },
} as const satisfies Record<string, RouteRow>
