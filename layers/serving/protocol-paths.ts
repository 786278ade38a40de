import { errorBody } from './fault.ts'
import type { ModelFacts } from './model-server.ts'

/** What a path of the Open Inference Protocol asks for: an answer that needs no model run, or a run. */
export type Routed = { kind: 'answer'; status: number; body: Buffer } | { kind: 'infer'; form: 'protocol' | 'bare' }

export const serverName = 'ai-deploy-serving'
export const serverVersion = '1'
const extensions = ['binary_tensor_data']

const answer = (status: number, value: object): Routed => ({ kind: 'answer', status, body: Buffer.from(JSON.stringify(value)) })
const fault = (status: number, code: string, detail: string): Routed => ({
  kind: 'answer',
  status,
  body: errorBody(code, detail),
})

const decoded = (segment: string): string | undefined => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

const modelMetadata = (facts: ModelFacts): object => ({
  name: facts.name,
  versions: [facts.version],
  platform: 'onnx_onnxv1',
  inputs: facts.inputs,
  outputs: facts.outputs,
})

/** Where the method does not fit the path. */
const only = (method: string, wanted: string, path: string, routed: () => Routed): Routed =>
  method === wanted ? routed() : fault(405, 'method_not_allowed', `${path}: wanted ${wanted}, got ${method}`)

const routeModel = (facts: ModelFacts, method: string, path: string, segments: readonly string[]): Routed => {
  const name = decoded(segments[0] ?? '')
  if (name === undefined) return fault(400, 'bad_request', `model name '${segments[0]}' is not percent-encoded UTF-8`)
  if (name !== facts.name)
    return fault(
      404,
      'not_found',
      `no model '${name}' here: the model of this deployment is '${facts.name}' (/v2/models/${encodeURIComponent(facts.name)})`,
    )
  const versioned = segments[1] === 'versions'
  const version = versioned ? decoded(segments[2] ?? '') : facts.version
  if (version !== facts.version)
    return fault(
      404,
      'not_found',
      `no version '${version ?? segments[2]}' of model '${facts.name}' here: wanted '${facts.version}'`,
    )
  const rest = segments.slice(versioned ? 3 : 1).join('/')
  if (rest === '') return only(method, 'GET', path, () => answer(200, modelMetadata(facts)))
  if (rest === 'ready') return only(method, 'GET', path, () => answer(200, { name: facts.name, ready: true }))
  if (rest === 'infer') return only(method, 'POST', path, () => ({ kind: 'infer', form: 'protocol' }))
  return fault(404, 'not_found', `${path} is not part of the protocol: wanted /v2/models/{name}, …/ready or …/infer`)
}

/** `path` is what follows the endpoint, percent-encoded as it came, without query: `` is the bare form, all else begins with /v2. */
export const routeProtocol = (facts: ModelFacts, method: string, path: string): Routed => {
  if (path === '' || path === '/') return only(method, 'POST', path || 'this endpoint', () => ({ kind: 'infer', form: 'bare' }))
  const [root, area, ...rest] = path.slice(1).split('/')
  if (root !== 'v2') return fault(404, 'not_found', `${path} is not served: wanted the endpoint itself or /v2…`)
  const below = rest.join('/')
  if (area === undefined || area === '')
    return only(method, 'GET', path, () => answer(200, { name: serverName, version: serverVersion, extensions }))
  if (area === 'health' && below === 'live') return only(method, 'GET', path, () => answer(200, { live: true }))
  if (area === 'health' && below === 'ready') return only(method, 'GET', path, () => answer(200, { ready: true }))
  if (area === 'models' && rest.length > 0) return routeModel(facts, method, path, rest)
  return fault(
    404,
    'not_found',
    `${path} is not part of the protocol: wanted /v2, /v2/health/live, /v2/health/ready or /v2/models/{name}…`,
  )
}
