import * as z from 'zod'
import { type Answer, type Credentials, until, wanted } from './client.ts'
import { type Facts, known } from './facts.ts'
import { type Check, Skipped } from './run.ts'

export const Deployment = z.looseObject({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  status_reason: z.string().nullable(),
  revision: z.number(),
  endpoint: z.string().nullable(),
  canary: z.object({ revision: z.number(), percent: z.number() }).nullable().optional(),
  hibernation_ladder: z
    .array(z.looseObject({ name: z.string(), usd_per_month: z.number().nullable(), current: z.boolean() }))
    .optional(),
})

const path = (facts: Facts): string => `/deployments/${known(facts, 'deployment_id')}`
const read = async (facts: Facts) => wanted(await facts.client.call('GET', path(facts), { as: facts.as }), 200, Deployment)

const settled = async (facts: Facts, status: string) => {
  const seen = await until(
    () => read(facts),
    (now) => now.status === status || now.status === 'failed',
    facts.patience_s,
  )
  if (seen.status === 'failed') throw new Error(`the deployment failed: ${seen.status_reason}`)
  return seen
}

/** Asks for another state; 202 means it is on its way. */
const ask = async (facts: Facts, method: string, verb: string, body?: unknown): Promise<Answer> => {
  const answer = await facts.client.call(method, `${path(facts)}${verb}`, { as: facts.as, ...(body !== undefined && { body }) })
  if (answer.status !== 200 && answer.status !== 202) wanted(answer, 200, z.unknown())
  return answer
}

const Outputs = z.object({ outputs: z.array(z.array(z.number())).min(1) })

/** One prediction; a deployment that wakes says when to ask again. Answers the first output. */
const predict = async (facts: Facts, url: string, as: Credentials): Promise<number[]> => {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: facts.model.input }),
  }
  const answer = await until(
    () => facts.client.send(url, init, as),
    ({ status, headers }) => status !== 503 || headers.get('retry-after') === null,
    facts.patience_s,
  )
  const { outputs } = wanted(answer, 200, Outputs)
  facts.requests_made += 1
  return outputs[0] ?? []
}

const platformPath = (facts: Facts): string => `${facts.client.base_url}${path(facts)}/inference`

const sameTwice = async (facts: Facts, url: string): Promise<string> => {
  const byToken = await predict(facts, url, facts.as)
  const byKey = await predict(facts, url, known(facts, 'key').as)
  if (JSON.stringify(byToken) !== JSON.stringify(byKey)) throw new Error(`token got ${byToken}, key got ${byKey}`)
  const bare = await facts.client.send(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
  if (bare.status !== 401) throw new Error(`without token or key it answered ${bare.status}, wanted 401`)
  return `first output ${byToken[0]}; 401 without token or key`
}

export const deploymentChecks: readonly Check<Facts>[] = [
  {
    id: 'deploy',
    title: 'deploys the optimised model',
    after: ['optimize'],
    run: async (facts) => {
      const body = {
        name: 'verify',
        model_id: known(facts, 'optimized_id'),
        model_type: 'optimized',
        deployment_type: facts.deployment_type,
        resource_requirements: { cpu: '1', memory: '1Gi', timeout: 30 },
      }
      const made = wanted(
        await facts.client.call('POST', '/deployments', { as: facts.as, body }),
        200,
        z.object({ id: z.string() }),
      )
      facts.deployment_id = made.id
      const { endpoint } = await settled(facts, 'active')
      if (endpoint === null) throw new Error('it is active without an endpoint')
      facts.endpoint = endpoint
      return endpoint
    },
  },
  {
    id: 'predict-endpoint',
    title: 'predicts at the deployment’s endpoint, by token and by key, and refuses without',
    after: ['deploy', 'key'],
    run: (facts) => sameTwice(facts, known(facts, 'endpoint')),
  },
  {
    id: 'predict-platform',
    title: 'predicts at the platform’s path, by token and by key, and refuses without',
    after: ['deploy', 'key'],
    run: (facts) => sameTwice(facts, platformPath(facts)),
  },
  {
    id: 'open-inference',
    title: 'speaks the Open Inference Protocol',
    after: ['predict-endpoint'],
    run: async (facts) => {
      const url = `${known(facts, 'endpoint').replace(/\/$/, '')}/v2/models/verify`
      const answer = await facts.client.send(url, { method: 'GET' }, facts.as)
      const { inputs } = wanted(
        answer,
        200,
        z.looseObject({ inputs: z.array(z.looseObject({ name: z.string(), datatype: z.string() })).min(1) }),
      )
      return `${inputs[0]?.name} ${inputs[0]?.datatype}`
    },
  },
  {
    id: 'revision',
    title: 'brings up a second revision while the first serves',
    after: ['predict-endpoint'],
    run: async (facts) => {
      await ask(facts, 'PUT', '', { resource_requirements: { cpu: '1', memory: '1Gi', timeout: 20 } })
      const { revision } = await until(
        () => read(facts),
        (now) => now.revision === 2 && now.status === 'active',
        facts.patience_s,
      )
      await predict(facts, known(facts, 'endpoint'), facts.as)
      return `revision ${revision}`
    },
  },
  {
    id: 'canary',
    title: 'sends half of the calls to the first revision, and all back',
    after: ['revision'],
    run: async (facts) => {
      const answer = await facts.client.call('PUT', path(facts), { as: facts.as, body: { canary: { revision: 1, percent: 50 } } })
      if (answer.status === 422) throw new Skipped(`this type has no canaries: ${Reflect.get(Object(answer.body), 'detail')}`)
      if (answer.status !== 202) wanted(answer, 200, Deployment)
      await until(
        () => read(facts),
        ({ canary }) => canary?.percent === 50,
        facts.patience_s,
      )
      for (let call = 0; call < 6; call++) await predict(facts, known(facts, 'endpoint'), facts.as)
      await ask(facts, 'PUT', '', { canary: null })
      await until(
        () => read(facts),
        ({ canary }) => !canary,
        facts.patience_s,
      )
      return '6 calls answered in between'
    },
  },
  {
    id: 'hibernate',
    title: 'sleeps when told, and says what each rung costs',
    after: ['predict-endpoint'],
    run: async (facts) => {
      await ask(facts, 'POST', '/hibernate')
      const { hibernation_ladder: ladder } = await settled(facts, 'hibernated')
      return (
        ladder?.map(({ name, usd_per_month, current }) => `${name} $${usd_per_month}${current ? ' (now)' : ''}`).join(', ') ??
        'hibernated'
      )
    },
  },
  {
    id: 'wake',
    title: 'wakes at the next call',
    after: ['hibernate'],
    run: async (facts) => {
      const started = performance.now()
      await predict(facts, platformPath(facts), facts.as)
      const seconds = (performance.now() - started) / 1000
      await settled(facts, 'active')
      return `answered after ${seconds.toFixed(2)} s`
    },
  },
]

export const removalChecks: readonly Check<Facts>[] = [
  {
    id: 'undeploy',
    title: 'deletes the deployment, its model and the key, and finds none of them',
    after: ['upload'],
    run: async (facts) => {
      const { client, as } = facts
      if (facts.deployment_id !== undefined) {
        await ask(facts, 'DELETE', '')
        await until(
          () => client.call('GET', path(facts), { as }),
          ({ status }) => status === 404,
          facts.patience_s,
        )
      }
      const model = `/models/${known(facts, 'model_id')}`
      await until(
        () => client.call('DELETE', model, { as }),
        ({ status }) => status === 200,
        facts.patience_s,
      )
      if (facts.key !== undefined) wanted(await client.call('DELETE', `/api-keys/${facts.key.id}`, { as }), 200, z.unknown())
      wanted(await client.call('GET', model, { as }), 404, z.unknown())
      return 'nothing is left on record'
    },
  },
]
