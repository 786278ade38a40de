import { PlatformError } from '../../core/contract/errors.ts'
import type { DeployTarget, InferenceRequest } from '../../core/ports/deployer.ts'
import { type Form, fromProtocol, parseJson, toProtocol } from './bare-form.ts'
import { servingOf } from './model-archive.ts'
import { TRITON_MODEL } from './triton-config.ts'

/** A call as the container takes it, and how its reply is read. */
export interface WireCall {
  content_type: string
  body: Uint8Array
  form: Form | 'as_is'
}
export interface WireReply {
  headers: Record<string, string>
  body: Uint8Array
}

/** Triton behind SageMaker tells by the content type where the protocol's JSON ends and its binary tensors begin. */
const BINARY = 'application/vnd.sagemaker-triton.binary+json;json-header-size='
const JSON_TYPE = 'application/json'

/**
 * ONNX is served by Triton, which speaks the protocol: requests of it pass through, bare ones are rewritten. The PyTorch and TensorFlow
 * images take the bare form and nothing else. Fails with `malformed_body` or `bad_request`.
 */
export const toWire = (
  { model }: DeployTarget,
  request: Pick<InferenceRequest, 'path' | 'headers'>,
  body: Uint8Array,
): WireCall => {
  const is_bare = request.path === '' || request.path === '/'
  const { image } = servingOf(model)
  if (image !== 'triton') {
    if (is_bare) return { content_type: JSON_TYPE, body, form: 'as_is' }
    throw new PlatformError(
      'bad_request',
      `Models of ${model.framework} on sagemaker take {"inputs": …} at the endpoint itself, not ${request.path}`,
    )
  }
  const json_bytes = request.headers['inference-header-content-length']
  if (json_bytes !== undefined) return { content_type: `${BINARY}${checkedSize(json_bytes, body)}`, body, form: 'as_is' }
  if (!is_bare) return { content_type: JSON_TYPE, body, form: 'as_is' }
  const { form, request: rewritten } = toProtocol(parseJson(body), model.inspection)
  return { content_type: JSON_TYPE, body: Buffer.from(JSON.stringify(rewritten)), form }
}

const checkedSize = (text: string, body: Uint8Array): number => {
  const size = Number(text)
  if (/^\d{1,9}$/.test(text) && size <= body.byteLength) return size
  const got = JSON.stringify(text.slice(0, 20))
  throw new PlatformError(
    'bad_request',
    `Inference-Header-Content-Length: got ${got}, wanted at most the body's ${body.byteLength} bytes`,
  )
}

/** The container's reply as the caller gets it: its form, and the deployment's own name instead of the container's. */
export const fromWire = (
  { deployment }: DeployTarget,
  form: WireCall['form'],
  reply: { content_type: string; body: Uint8Array },
): WireReply => {
  if (form !== 'as_is' && form !== 'tensors')
    return {
      headers: { 'content-type': JSON_TYPE },
      body: Buffer.from(JSON.stringify(fromProtocol(parseJson(reply.body), form))),
    }
  const { body, grown_bytes } = renamed(reply.body, deployment.name, String(deployment.revision))
  const size = /json-header-size=(\d+)/.exec(reply.content_type)?.[1]
  if (size === undefined) return { headers: { 'content-type': reply.content_type || JSON_TYPE }, body }
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(Number(size) + grown_bytes),
    },
    body,
  }
}

/** Triton begins its JSON with the model's name and version: only these bytes are looked at, however long the reply. */
const renamed = (body: Uint8Array, name: string, version: string): { body: Uint8Array; grown_bytes: number } => {
  const head = Buffer.from(body.subarray(0, 200)).toString('latin1')
  const found = /^\{((?:"id":"[^"\\]*",)?)"model_name":"([^"\\]*)","model_version":"[^"\\]*"/.exec(head)
  if (found?.[2] !== TRITON_MODEL) return { body, grown_bytes: 0 }
  const start = Buffer.from(`{${found[1]}"model_name":${JSON.stringify(name)},"model_version":${JSON.stringify(version)}`)
  return { body: Buffer.concat([start, body.subarray(found[0].length)]), grown_bytes: start.length - found[0].length }
}
