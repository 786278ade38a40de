import type { Resource, Template } from './intrinsics.ts'

/** What a synthesised RestApi says: its methods with the function behind each, and its own answers. */
export interface RestMethod {
  method: string
  /** `/models/{model_id}` */
  resource: string
  /** Logical id of the function behind it; undefined for CORS preflights. */
  function: string | undefined
  streams: boolean
}

export interface GatewayAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

type Get = (value: unknown, ...path: (string | number)[]) => unknown
const get: Get = (value, ...path) => path.reduce<unknown>((at, key) => Reflect.get(Object(at), key), value)

const ofType = (template: Template, type: string): [string, Resource][] =>
  Object.entries(template.Resources).filter(([, resource]) => resource.Type === type)

export const restMethods = (template: Template): RestMethod[] => {
  const paths = new Map<string, string>()
  const pathOf = (resource: unknown): string => {
    const logical_id = get(resource, 'Ref')
    if (typeof logical_id !== 'string') return ''
    const known = paths.get(logical_id)
    if (known !== undefined) return known
    const properties = template.Resources[logical_id]?.Properties
    const path = `${pathOf(properties?.ParentId)}/${String(properties?.PathPart)}`
    paths.set(logical_id, path)
    return path
  }
  return ofType(template, 'AWS::ApiGateway::Method').map(([, { Properties = {} }]) => {
    const uri = JSON.stringify(get(Properties, 'Integration', 'Uri') ?? null)
    return {
      method: String(Properties.HttpMethod),
      resource: pathOf(Properties.ResourceId) || '/',
      function: /"Fn::GetAtt":\["(\w+)","Arn"\]/.exec(uri)?.[1],
      streams: get(Properties, 'Integration', 'ResponseTransferMode') === 'STREAM',
    }
  })
}

/** The gateway's own answers by their type, e.g. `REQUEST_TOO_LARGE`, as the template customises them. */
export const gatewayAnswers = (template: Template): Map<string, (request_id: string) => GatewayAnswer> =>
  new Map(
    ofType(template, 'AWS::ApiGateway::GatewayResponse').map(([, { Properties = {} }]) => [
      String(Properties.ResponseType),
      (request_id) => ({
        status: Number(Properties.StatusCode),
        headers: {
          'content-type': String(get(Properties, 'ResponseParameters', 'gatewayresponse.header.content-type')).replaceAll(
            "'",
            '',
          ),
        },
        body: String(get(Properties, 'ResponseTemplates', 'application/json')).replaceAll('$context.requestId', request_id),
      }),
    ]),
  )

export const binaryTypes = (template: Template): string[] =>
  ofType(template, 'AWS::ApiGateway::RestApi').flatMap(([, { Properties = {} }]) => {
    const types = Properties.BinaryMediaTypes
    return Array.isArray(types) ? types.map(String) : []
  })
