import {
  addPermission,
  aliasOf,
  aliasReply,
  createAlias,
  provisionedReply,
  putProvisioned,
  putReserved,
  putUrl,
  unreserved,
  updateAlias,
} from './aliases.ts'
import { configReply } from './config-reply.ts'
import {
  configOf,
  createFunction,
  deleteFunction,
  functionOf,
  looked,
  publishVersion,
  updateCode,
  updateConfiguration,
} from './functions.ts'
import { absent, CloudFault, type CloudOptions, type CloudState, type FunctionAlias } from './state.ts'

export interface LambdaCall {
  state: CloudState
  options: CloudOptions
  origin: string
  /** The parts of the path that the route leaves open. */
  name: string
  inner: string
  query: URLSearchParams
  body: unknown
}

type Answer = { status: number; body?: unknown }
type Operation = (call: LambdaCall) => Answer

const ok = (body: unknown, status = 200): Answer => ({ status, body })
const done: Answer = { status: 204 }
const qualifier = ({ query }: LambdaCall): string | null => query.get('Qualifier')
const liveAlias = (call: LambdaCall): FunctionAlias => aliasOf(functionOf(call.state, call.name), qualifier(call))
const arn = ({ options, name }: LambdaCall) => `arn:aws:lambda:${options.region}:${options.account}:function:${name}`

const urlReply = (call: LambdaCall, { url }: FunctionAlias) => {
  if (!url) throw absent(`${call.name} url`)
  return {
    FunctionUrl: `${call.origin}/url/${url.id}/`,
    FunctionArn: arn(call),
    CreationTime: '2026-11-20T00:00:00Z',
    ...url.config,
  }
}

const shown = (call: LambdaCall, config: Parameters<typeof configReply>[2]) => configReply(call.options, call.name, config)

/** Pages of two, so that whoever reads only the first page is found out. */
const page = <Item>(items: Item[], query: URLSearchParams): { items: Item[]; NextMarker?: string } => {
  const from = Number(query.get('Marker') ?? 0)
  const end = from + 2
  return { items: items.slice(from, end), ...(end < items.length && { NextMarker: String(end) }) }
}

const url = '/2021-10-31/functions/:/url'
const warm = '/2019-09-30/functions/:/provisioned-concurrency'
const fn = '/2015-03-31/functions/:'

/** Lambda's REST API as far as deployments use it: method and path, `:` for one open part. */
export const lambdaApi: Record<string, { action: string; run: Operation }> = {
  'POST /2015-03-31/functions': {
    action: 'CreateFunction',
    run: (call) =>
      ok(
        configReply(
          call.options,
          String(Reflect.get(Object(call.body), 'FunctionName')),
          createFunction(call.state, call.options, call.body).latest,
        ),
        201,
      ),
  },
  'GET /2015-03-31/functions': {
    action: 'ListFunctions',
    run: ({ state, options, query }) => {
      const { items, NextMarker } = page([...state.functions.values()], query)
      return ok({
        Functions: items.map(({ name, latest }) => configReply(options, name, latest)),
        ...(NextMarker && { NextMarker }),
      })
    },
  },
  [`GET ${fn}/configuration`]: {
    action: 'GetFunctionConfiguration',
    run: (call) => ok(shown(call, looked(configOf(functionOf(call.state, call.name), qualifier(call))))),
  },
  [`PUT ${fn}/code`]: {
    action: 'UpdateFunctionCode',
    run: (call) => ok(shown(call, updateCode(call.state, call.options, call.name, call.body))),
  },
  [`PUT ${fn}/configuration`]: {
    action: 'UpdateFunctionConfiguration',
    run: (call) => ok(shown(call, updateConfiguration(call.state, call.options, call.name, call.body))),
  },
  [`DELETE ${fn}`]: {
    action: 'DeleteFunction',
    run: (call) => {
      deleteFunction(call.state, call.name, qualifier(call))
      return { status: 200 }
    },
  },
  [`POST ${fn}/versions`]: {
    action: 'PublishVersion',
    run: (call) => ok(shown(call, publishVersion(call.state, call.options, call.name, call.body)), 201),
  },
  [`GET ${fn}/versions`]: {
    action: 'ListVersionsByFunction',
    run: (call) => {
      const { latest, versions } = functionOf(call.state, call.name)
      const { items, NextMarker } = page([latest, ...versions.values()], call.query)
      // The service leaves the state out of lists.
      const Versions = items.map((config) => ({ ...shown(call, config), State: undefined, LastUpdateStatus: undefined }))
      return ok({ Versions, ...(NextMarker && { NextMarker }) })
    },
  },
  [`POST ${fn}/aliases`]: {
    action: 'CreateAlias',
    run: (call) =>
      ok(
        aliasReply(
          call.options,
          call.name,
          String(Reflect.get(Object(call.body), 'Name')),
          createAlias(call.state, call.name, call.body),
        ),
        201,
      ),
  },
  [`GET ${fn}/aliases/:`]: {
    action: 'GetAlias',
    run: (call) => ok(aliasReply(call.options, call.name, call.inner, aliasOf(functionOf(call.state, call.name), call.inner))),
  },
  [`PUT ${fn}/aliases/:`]: {
    action: 'UpdateAlias',
    run: (call) =>
      ok(
        aliasReply(call.options, call.name, call.inner, updateAlias(call.state, call.options, call.name, call.inner, call.body)),
      ),
  },
  [`DELETE ${fn}/aliases/:`]: {
    action: 'DeleteAlias',
    run: (call) => {
      const { aliases } = functionOf(call.state, call.name)
      if (aliases.get(call.inner)?.provisioned)
        throw new CloudFault('ResourceConflictException', 409, 'The alias has provisioned concurrency')
      aliases.delete(call.inner)
      return done
    },
  },
  [`POST ${fn}/policy`]: {
    action: 'AddPermission',
    run: (call) => ok({ Statement: JSON.stringify(addPermission(call.state, call.name, qualifier(call), call.body)) }, 201),
  },
  [`GET ${fn}/policy`]: {
    action: 'GetPolicy',
    run: (call) => {
      const { statements } = liveAlias(call)
      if (statements.size === 0)
        throw new CloudFault('ResourceNotFoundException', 404, 'The resource you requested does not exist.')
      return ok({
        Policy: JSON.stringify({ Version: '2012-10-17', Id: 'default', Statement: [...statements.values()] }),
        RevisionId: 'r',
      })
    },
  },
  [`POST ${url}`]: {
    action: 'CreateFunctionUrlConfig',
    run: (call) => ok(urlReply(call, putUrl(call.state, call.name, qualifier(call), call.body, true)), 201),
  },
  [`PUT ${url}`]: {
    action: 'UpdateFunctionUrlConfig',
    run: (call) => ok(urlReply(call, putUrl(call.state, call.name, qualifier(call), call.body, false))),
  },
  [`GET ${url}`]: { action: 'GetFunctionUrlConfig', run: (call) => ok(urlReply(call, liveAlias(call))) },
  [`DELETE ${url}`]: {
    action: 'DeleteFunctionUrlConfig',
    run: (call) => {
      const alias = liveAlias(call)
      urlReply(call, alias)
      delete alias.url
      return done
    },
  },
  'PUT /2017-10-31/functions/:/concurrency': {
    action: 'PutFunctionConcurrency',
    run: (call) => ok({ ReservedConcurrentExecutions: putReserved(call.state, call.options, call.name, call.body) }),
  },
  'GET /2019-09-30/functions/:/concurrency': {
    action: 'GetFunctionConcurrency',
    run: (call) => {
      const { reserved } = functionOf(call.state, call.name)
      return ok(reserved === undefined ? {} : { ReservedConcurrentExecutions: reserved })
    },
  },
  'DELETE /2017-10-31/functions/:/concurrency': {
    action: 'DeleteFunctionConcurrency',
    run: (call) => {
      functionOf(call.state, call.name).reserved = undefined
      return done
    },
  },
  [`PUT ${warm}`]: {
    action: 'PutProvisionedConcurrencyConfig',
    run: (call) => ok(provisionedReply(putProvisioned(call.state, call.options, call.name, qualifier(call), call.body)), 202),
  },
  [`GET ${warm}`]: { action: 'GetProvisionedConcurrencyConfig', run: (call) => ok(provisionedReply(liveAlias(call))) },
  [`DELETE ${warm}`]: {
    action: 'DeleteProvisionedConcurrencyConfig',
    run: (call) => {
      const alias = liveAlias(call)
      provisionedReply(alias)
      if (Object.keys(alias.weights).length > 0) throw new CloudFault('ResourceConflictException', 409, 'The alias has weights')
      delete alias.provisioned
      return done
    },
  },
  'GET /2016-08-19/account-settings': {
    action: 'GetAccountSettings',
    run: ({ state, options }) =>
      ok({
        AccountLimit: { ConcurrentExecutions: options.concurrency, UnreservedConcurrentExecutions: unreserved(state, options) },
      }),
  },
}
