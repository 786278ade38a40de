// A deployer of your own: AIDEPLOY_EXTENSIONS=./examples/custom-deployer.ts npm start, then create a deployment with
// "deployment_type": "custom", "metadata": {"url": "http://127.0.0.1:9000"}: a model server of the Open Inference Protocol.
import * as z from 'zod'
import { PlatformError } from '../layers/core/contract/errors.ts'
import { type DeployTarget, defineDeployer } from '../layers/core/ports/deployer.ts'

const settings = z.object({ metadata: z.looseObject({ url: z.url({ protocol: /^https?$/, error: 'wanted a URL' }) }) })

const urlOf = ({ deployment }: DeployTarget): string => settings.parse(deployment).metadata.url.replace(/\/$/, '')

const isReady = async (target: DeployTarget): Promise<boolean> => {
  const asked = fetch(`${urlOf(target)}/v2/health/ready`, { signal: AbortSignal.timeout(5000) })
  return (await asked.catch(() => undefined))?.ok === true
}

const assertReady = async (target: DeployTarget): Promise<void> => {
  if (!(await isReady(target))) throw new PlatformError('deployment_unavailable', `No server is ready at ${urlOf(target)}`)
}

const custom = defineDeployer({
  type: 'custom',
  summary: 'A model server that already runs elsewhere',
  settings,
  capabilities: { frameworks: ['onnx'], scales_to_zero: false, gpu: true, max_memory_bytes: 2 ** 50, max_timeout_s: 3600 },
  needs: [],
  deploy: async (target) => {
    await assertReady(target)
    return { url: urlOf(target) }
  },
  status: async (target) => ({ ready: await isReady(target), instances: 1 }),
  infer: async (target, { method, path, headers, body, signal }) => {
    const started = performance.now()
    const { connection: _, host: __, 'content-length': ___, ...forwarded } = headers
    const pieces = body instanceof Uint8Array ? body : Buffer.concat(await body.toArray())
    const content = method === 'POST' ? { body: new Uint8Array(pieces) } : {}
    const reply = await fetch(`${urlOf(target)}${path || '/'}`, {
      method,
      headers: forwarded,
      ...content,
      ...(signal ? { signal } : {}),
    })
    const answer = new Uint8Array(await reply.arrayBuffer())
    const usage = {
      compute_us: Math.round((performance.now() - started) * 1000),
      cpu_us: 0,
      cold: false,
      init_us: 0,
      memory_bytes: 0,
      batch_size: 1,
    }
    return { status: reply.status, headers: Object.fromEntries(reply.headers), body: answer, usage }
  },
  hibernate: async () => undefined,
  activate: assertReady,
  undeploy: async () => undefined,
})

export const deployers = [custom]
