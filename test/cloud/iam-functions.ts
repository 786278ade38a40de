import * as z from 'zod'
import type { IamRequest } from '../support/iam-evaluator.ts'
import { lambdaApi } from '../support/lambda-cloud/lambda-api.ts'
import type { Seen } from './front.ts'
import { arn } from './physical.ts'

const Body = z.object({
  FunctionName: z.string().optional(),
  Role: z.string().optional(),
  Layers: z.array(z.string()).default([]),
  Tags: z.record(z.string(), z.string()).optional(),
  Code: z.object({ S3Bucket: z.string(), S3Key: z.string() }).optional(),
  S3Bucket: z.string().optional(),
  S3Key: z.string().optional(),
})
/** Without a resource: they speak of the account. */
const ofAccount = ['GetAccountSettings', 'ListFunctions']

/**
 * What a request to Lambda asks of IAM, with what Lambda asks in its caller's name: the code, the layers, passing the role, tags
 * (Service Authorization Reference, "dependent actions"; developer guide, "Execution role", "Layers").
 */
export const ofLambda = ({ method, path, query, body }: Seen): IamRequest[] => {
  const [, date = '', , name = '', verb = '', inner = ''] = path.replace(/\/$/, '').split('/').map(decodeURIComponent)
  const calls = verb === 'invocations' || verb === 'response-streaming-invocations'
  const qualifier = query.get('Qualifier')
  const functionArn = (named: string): string => arn('lambda', `function:${named}`)
  if (calls) return [{ action: 'lambda:InvokeFunction', resource: functionArn(qualifier ? `${name}:${qualifier}` : name) }]
  const key = [date, 'functions', ...(name ? [':'] : []), ...(verb ? [verb] : []), ...(inner ? [':'] : [])].join('/')
  const action = path.includes('account-settings') ? 'GetAccountSettings' : lambdaApi[`${method} /${key}`]?.action
  if (action === undefined) throw new Error(`The witness does not know ${method} ${path} of Lambda`)
  if (ofAccount.includes(action)) return [{ action: `lambda:${action}`, resource: '*' }]
  const asked = Body.parse(body === '' || !body.startsWith('{') ? {} : JSON.parse(body))
  const named = name || asked.FunctionName || ''
  const resource = functionArn(qualifier ? `${named}:${qualifier}` : named)
  return [{ action: `lambda:${action}`, resource }, ...(writes.includes(action) ? alsoAsked(asked, resource) : [])]
}

const writes = ['CreateFunction', 'UpdateFunctionCode', 'UpdateFunctionConfiguration']

const alsoAsked = (asked: z.output<typeof Body>, resource: string): IamRequest[] => {
  const code = asked.Code ?? asked
  return [
    ...(asked.Role === undefined
      ? []
      : [{ action: 'iam:PassRole', resource: asked.Role, context: { 'iam:PassedToService': ['lambda.amazonaws.com'] } }]),
    ...(code.S3Bucket === undefined
      ? []
      : [
          {
            action: 's3:GetObject',
            resource: `arn:aws:s3:::${code.S3Bucket}/${code.S3Key}`,
            context: { 'aws:SecureTransport': ['true'] },
          },
        ]),
    ...asked.Layers.map((layer) => ({ action: 'lambda:GetLayerVersion', resource: layer })),
    ...(asked.Tags === undefined ? [] : [{ action: 'lambda:TagResource', resource }]),
  ]
}

/** A role as IAM knows it when a request arrives: the requests before made it so. */
export interface KnownRole {
  path: string
  boundary: string | undefined
}

/**
 * What a request to IAM asks. A role that is not there has no path: the request is judged by an ARN without one, and a caller who may not
 * look there gets AccessDenied instead of NoSuchEntity.
 */
export const ofIam = ({ body }: Seen, roles: Map<string, KnownRole>): IamRequest[] => {
  const form = new URLSearchParams(body)
  const action = form.get('Action') ?? ''
  const role = (path: string, name: string): string => `arn:aws:iam::123456789012:role${path}${name}`
  if (action === 'ListRoles') return [{ action: 'iam:ListRoles', resource: role(form.get('PathPrefix') ?? '/', '') }]
  const name = form.get('RoleName') ?? ''
  const known = roles.get(name)
  const resource = role(known?.path ?? form.get('Path') ?? '/', name)
  // Of the request where it sets one, else of the role.
  const boundary = form.get('PermissionsBoundary') ?? known?.boundary
  if (action === 'CreateRole') roles.set(name, { path: form.get('Path') ?? '/', boundary: boundary ?? undefined })
  if (action === 'DeleteRole') roles.delete(name)
  const context: Record<string, string[]> = boundary === undefined ? {} : { 'iam:PermissionsBoundary': [boundary] }
  return [
    { action: `iam:${action}`, resource, context },
    ...(form.has('Tags.member.1.Key') ? [{ action: 'iam:TagRole', resource, context }] : []),
  ]
}
