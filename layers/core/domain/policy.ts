import { inCidr } from './cidr.ts'
import { mayActAs, type Principal, type Role } from './principal.ts'

/** What a route row asks of its caller. `resource` is `<kind>/<id>`, or `<kind>/*` where the path names no id. */
export interface Demand {
  role: Role
  action: string
  resource: string
}

export type Verdict =
  | { allowed: true }
  | { allowed: false; code: 'forbidden' | 'policy_denied' | 'token_expired'; reason: string }

const denied = (code: 'forbidden' | 'policy_denied' | 'token_expired', reason: string): Verdict => ({
  allowed: false,
  code,
  reason,
})

/**
 * Whether the principal may do this, from this address, now. The role is judged first, then every member of the key's policy
 * that is present. The reason names what was wanted and never what else would have been allowed.
 */
export const authorize = (principal: Principal, demand: Demand, source_ip: string, now: Date): Verdict => {
  if (!mayActAs(principal, demand.role))
    return denied('forbidden', `${demand.action} wants the role ${demand.role}; ${principal.name} is ${principal.role}`)
  const { policy } = principal
  if (policy === undefined) return { allowed: true }
  if (policy.expires_at !== undefined && now.getTime() >= Date.parse(policy.expires_at))
    return denied('token_expired', `This API key expired at ${policy.expires_at}`)
  if (policy.actions && !policy.actions.some((pattern) => actionMatches(pattern, demand.action)))
    return denied('policy_denied', `The policy of this API key does not allow ${demand.action}`)
  if (policy.resources && !policy.resources.some((pattern) => resourceMatches(pattern, demand.resource)))
    return denied('policy_denied', `The policy of this API key does not allow ${demand.resource}`)
  if (policy.source_cidrs && !policy.source_cidrs.some((cidr) => inCidr(source_ip, cidr)))
    return denied('policy_denied', `The policy of this API key does not allow requests from ${source_ip}`)
  return { allowed: true }
}

const actionMatches = (pattern: string, action: string): boolean => {
  const [kind, verb] = pattern.split(':')
  const [wanted_kind, wanted_verb] = action.split(':')
  return (kind === '*' || kind === wanted_kind) && (verb === '*' || verb === wanted_verb)
}

/** `models/*` covers every model and the rows without an id; `models/m1` covers that model alone. */
const resourceMatches = (pattern: string, resource: string): boolean =>
  pattern === resource || (pattern.endsWith('/*') && resource.startsWith(pattern.slice(0, -1)))
