import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { RouteRow } from '../../layers/core/contract/route-row.ts'
import { authorize } from '../../layers/core/domain/policy.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import type { App } from '../../layers/core/ports/app.ts'
import { authenticate } from '../../layers/core/usecases/authenticate.ts'
import { endpointAccess } from '../../layers/core/usecases/endpoint-access.ts'

export interface Credentials {
  authorization: string | undefined
  api_key: string | undefined
  source_ip: string
}

type AccessRow = Pick<RouteRow, 'role' | 'action' | 'path'>

/** Who asks, if the row lets them. Anonymous and signed rows answer undefined. */
export const access = async (
  app: App,
  row: AccessRow,
  params: Record<string, string>,
  credentials: Credentials,
): Promise<Principal | undefined> => {
  if (row.role === 'anonymous' || row.role === 'signed_url') return undefined
  if (row.role === 'endpoint' && (await isOpenEndpoint(app, params.deployment_id ?? '', credentials))) return undefined
  const principal = await authenticate(app, { ...credentials })
  const role = row.role === 'endpoint' ? 'viewer' : row.role
  const verdict = authorize(
    principal,
    { role, action: row.action, resource: resourceOf(row, params) },
    credentials.source_ip,
    app.now(),
  )
  if (!verdict.allowed) throw new PlatformError(verdict.code, verdict.reason)
  return principal
}

/** An endpoint that wants no token; with a token the caller is still checked, so that a wrong token is never silently ignored. */
const isOpenEndpoint = async (app: App, deployment_id: string, credentials: Credentials): Promise<boolean> => {
  if (credentials.authorization !== undefined || credentials.api_key !== undefined) return false
  const found = await endpointAccess(app, deployment_id)
  return found?.endpoint_auth === 'none'
}

const resources = new Map<string, { kind: string; name: string | undefined }>()

/** What a row's path speaks of; found once for each of the rows. */
const resourceKind = (path: string): { kind: string; name: string | undefined } => {
  const known = resources.get(path)
  if (known) return known
  const [, kind = 'platform', variable] = path.split('/')
  const found = { kind, name: variable?.match(/^\{(.+?)\+?\}$/)?.[1] }
  resources.set(path, found)
  return found
}

/** `models/<id>` from the first variable of the path, else `models/*`. */
const resourceOf = (row: AccessRow, params: Record<string, string>): string => {
  const { kind, name } = resourceKind(row.path)
  return `${kind}/${(name === undefined ? undefined : params[name]) ?? '*'}`
}
