import type { CompleteDeployer } from '../core/ports/deployer.ts'
import { defineDeployer } from '../core/ports/deployer.ts'
import { bringUp } from './sagemaker/bring-up.ts'
import { ensureComponent } from './sagemaker/components.ts'
import { describeEndpoint, ensureEndpoint } from './sagemaker/endpoint.ts'
import { sagemakerFace } from './sagemaker/face.ts'
import { infer } from './sagemaker/infer.ts'
import { lacksConfig } from './sagemaker/kept-config.ts'
import { connected, forOneVerb, type SagemakerParts } from './sagemaker/parts.ts'
import { planOf } from './sagemaker/plan.ts'
import { reconcileDeployment } from './sagemaker/reconcile.ts'
import { removeDeployment, removeEndpoint, sweepDeployments } from './sagemaker/removal.ts'
import { ensureScaling } from './sagemaker/scaling.ts'
import { shiftRequests } from './sagemaker/shift.ts'
import { stateOf } from './sagemaker/state.ts'

/** One run looks after many deployments within the life of a function: what takes longer is gone on with by the next. */
const run_wait_ms = 150_000

/**
 * `sagemaker`: serverless, real-time and asynchronous endpoints. Callers use the platform's own path: an endpoint is deleted while its
 * deployment sleeps. Nothing is remembered in this process, and everything is found again by its name, so that every verb may be
 * repeated after a crash. A verb whose work is longer than one step allows fails with `work_pending` and goes on when repeated.
 */
export const sagemakerDeployer = (given: SagemakerParts): CompleteDeployer => {
  const parts = connected(given)
  const timed = () => forOneVerb(parts)
  const briefly = () => forOneVerb({ ...parts, wait_ms: Math.min(parts.wait_ms ?? run_wait_ms, run_wait_ms) })
  return defineDeployer({
    ...sagemakerFace,
    deploy: (target) => bringUp(timed(), target),
    status: async ({ deployment }) => {
      const found = await describeEndpoint(parts, deployment.id)
      const instances = (found?.ProductionVariants ?? []).reduce((sum, one) => sum + (one.CurrentInstanceCount ?? 0), 0)
      const ready = found?.EndpointStatus === 'InService'
      const detail = ready
        ? stateOf(deployment)?.notes.join('; ')
        : (found?.FailureReason ?? found?.EndpointStatus ?? 'no endpoint')
      return { ready, instances, ...(detail ? { detail } : {}) }
    },
    infer: (target, request) => infer(parts, target, request),
    hibernate: async ({ deployment }) => {
      await removeEndpoint(timed(), deployment.id)
    },
    activate: async (target) => {
      const { deployment } = target
      const timed_parts = timed()
      const state = stateOf(deployment)
      if (state === undefined || deployment.canary || (await lacksConfig(timed_parts, state.config_name))) {
        await bringUp(timed_parts, target)
        return
      }
      const plan = planOf(deployment, parts.prices)
      await ensureEndpoint(timed_parts, deployment, state.config_name, { guarded: false })
      if (plan.components) await ensureComponent(timed_parts, target, plan)
      await ensureScaling(timed_parts, deployment, plan)
    },
    undeploy: async ({ deployment }) => {
      await removeDeployment(timed(), deployment.id)
    },
    shift: (target, canary, other) => shiftRequests(timed(), target, canary, other),
    reconcile: (target) => reconcileDeployment(briefly(), target),
    sweep: (isLive) => sweepDeployments(briefly(), isLive),
  })
}
