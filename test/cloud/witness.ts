import { decide, type IamRequest, type Policies, PolicyDocument } from '../support/iam-evaluator.ts'
import type { CloudState } from '../support/lambda-cloud/state.ts'
import type { Seen } from './front.ts'
import { type Account, asksOf } from './iam-services.ts'

/** One thing somebody asked of AWS, and whether its role allows it. */
export interface Witnessed extends IamRequest {
  /** A function's name, or the ARN of a state machine. */
  caller: string
  /** Why not, if it is refused. */
  refused?: string
}

export interface WitnessParts {
  /** Policies of the templates' roles by ARN. */
  roles: ReadonlyMap<string, readonly PolicyDocument[]>
  /** Role ARN by caller: functions' names and machines' ARNs. */
  roleOf: ReadonlyMap<string, string>
  limits: { boundary: { arn: string; document: PolicyDocument }; buckets: readonly PolicyDocument[] }
  /** Where deployers make roles and functions. */
  cloud: () => CloudState
}

/** Writes down what was asked of AWS and judges it by the policies in force at that moment. */
export const startWitness = (parts: WitnessParts) => {
  const calls = new Map<string, Witnessed>()
  const failures: string[] = []
  const past = new Map<string, Policies>()

  /** A role that is gone by now still answers for what was asked while it was there. */
  const policiesOf = (caller: string): Policies => {
    const of_template = parts.roles.get(parts.roleOf.get(caller) ?? '')
    if (of_template) return { identity: of_template, resource: parts.limits.buckets }
    const { functions, roles } = parts.cloud()
    const role = roles.get(functions.get(caller)?.latest.role.split('/').at(-1) ?? caller)
    const known = past.get(caller)
    if (role === undefined && known === undefined) throw new Error(`${caller} has no role`)
    if (role === undefined) return known ?? { identity: [] }
    if (role.boundary !== parts.limits.boundary.arn) throw new Error(`${role.name} has the boundary ${role.boundary}`)
    const policies: Policies = {
      identity: [...role.policies.values()].map((text) => PolicyDocument.parse(JSON.parse(text))),
      boundary: parts.limits.boundary.document,
      resource: parts.limits.buckets,
    }
    past.set(caller, policies)
    return policies
  }

  const note = (caller: string, request: IamRequest): void => {
    const key = JSON.stringify([caller, request])
    if (calls.has(key)) return
    const decision = decide(request, policiesOf(caller))
    calls.set(key, { caller, ...request, ...(!decision.allowed && { refused: decision.reason }) })
  }
  const guarded = (work: () => void): void => {
    try {
      work()
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  const account: Account = { roles: new Map() }
  return {
    /** Everything asked, each once. */
    calls: (): Witnessed[] => [...calls.values()],
    /** What could not be judged; must stay empty. */
    failures: (): string[] => [...new Set(failures)],
    policiesOf,
    /** Every action that somebody's role allows: the templates' and those of the deployments' functions that called. */
    granted: (): { caller: string; action: string }[] =>
      [...new Set([...parts.roleOf.keys(), ...past.keys()])].flatMap((caller) =>
        [...new Set(policiesOf(caller).identity.flatMap(allowedBy))].map((action) => ({ caller, action })),
      ),
    /** Length of the inline policies of each role without white space. */
    sizes: (): { caller: string; characters: number }[] =>
      [...parts.roleOf].map(([caller, role]) => ({
        caller,
        characters: (parts.roles.get(role) ?? []).reduce((sum, document) => sum + JSON.stringify(document).length, 0),
      })),
    /** A request to a service's endpoint; what tests ask for themselves is signed by `test`. */
    tell: (seen: Seen): void =>
      guarded(() => {
        if (seen.caller !== 'test') for (const request of asksOf(seen, account)) note(seen.caller, request)
      }),
    /** What a service asks in the name of a role, without a request of the role's holder. */
    note: (caller: string, request: IamRequest): void => guarded(() => note(caller, request)),
  }
}

const allowedBy = ({ Statement }: PolicyDocument): string[] =>
  Statement.filter(({ Effect }) => Effect === 'Allow').flatMap(({ Action }) => Action)

export type Witness = ReturnType<typeof startWitness>
