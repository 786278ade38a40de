import * as z from 'zod'

/**
 * Decides as IAM does for a caller of the same account: a Deny anywhere wins, then the identity's own policies and its permissions
 * boundary must both allow. Resource policies only deny here, so that a role must suffice by itself. What this does not know (other
 * condition operators, policy variables, NotAction, NotResource) throws. Source: IAM User Guide, "Policy evaluation logic".
 */
export interface IamRequest {
  /** `s3:GetObject` */
  action: string
  resource: string
  /** Condition keys with their values. */
  context?: Readonly<Record<string, readonly string[]>>
}

export interface Policies {
  identity: readonly PolicyDocument[]
  boundary?: PolicyDocument
  /** Of the resource, e.g. a bucket's. */
  resource?: readonly PolicyDocument[]
}

export type Decision = { allowed: true } | { allowed: false; reason: 'denied' | 'not allowed' | 'beyond the boundary' }

const texts = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat())
const scalar = z.union([z.string(), z.boolean(), z.number()]).transform(String)
const Statement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: z.union([z.string(), z.record(z.string(), texts)]).optional(),
  Action: texts,
  Resource: texts,
  Condition: z
    .record(
      z.string(),
      z.record(
        z.string(),
        z.union([scalar, z.array(scalar)]).transform((value) => [value].flat()),
      ),
    )
    .optional(),
})
export const PolicyDocument = z.strictObject({
  Version: z.literal('2012-10-17'),
  Id: z.string().optional(),
  Statement: z.union([Statement, z.array(Statement)]).transform((value) => [value].flat()),
})
export type PolicyDocument = z.output<typeof PolicyDocument>
type Statement = z.output<typeof Statement>

export const decide = (request: IamRequest, { identity, boundary, resource = [] }: Policies): Decision => {
  const matching = (documents: readonly PolicyDocument[], effect: Statement['Effect']): boolean =>
    documents.some(({ Statement: statements }) =>
      statements.some((statement) => statement.Effect === effect && applies(statement, request)),
    )
  const limits = boundary === undefined ? [] : [boundary]
  if (matching([...identity, ...limits, ...resource.map(ofAnybody)], 'Deny')) return { allowed: false, reason: 'denied' }
  if (!matching(identity, 'Allow')) return { allowed: false, reason: 'not allowed' }
  if (boundary !== undefined && !matching(limits, 'Allow')) return { allowed: false, reason: 'beyond the boundary' }
  return { allowed: true }
}

/** The statements for every principal; one that names some would need to know who asks. */
const ofAnybody = (document: PolicyDocument): PolicyDocument => ({
  ...document,
  Statement: document.Statement.filter(({ Effect }) => Effect === 'Deny').map((statement) => {
    const { Principal } = statement
    const anybody = Principal === '*' || (typeof Principal === 'object' && Principal.AWS?.includes('*'))
    if (!anybody) throw new Error(`This evaluator knows denials of everybody only, got ${JSON.stringify(Principal)}`)
    return statement
  }),
})

const applies = (statement: Statement, request: IamRequest): boolean =>
  statement.Action.some((pattern) => matches(pattern.toLowerCase(), request.action.toLowerCase())) &&
  statement.Resource.some((pattern) => coversArn(pattern, request.resource)) &&
  Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => holds(operator, wanted, valuesOf(request, key))),
  )

/** Condition keys are compared without regard to case. */
const valuesOf = ({ context = {} }: IamRequest, key: string): readonly string[] | undefined =>
  Object.entries(context).find(([name]) => name.toLowerCase() === key.toLowerCase())?.[1]

export const matches = (pattern: string, text: string): boolean => {
  if (pattern.includes('${')) throw new Error(`This evaluator knows no policy variables, got ${pattern}`)
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(text)
}

/** A wildcard stays within its part of the ARN; in the sixth it spans colons and slashes (IAM User Guide, "Resource"). */
const coversArn = (pattern: string, resource: string): boolean => {
  if (pattern === '*') return true
  const [wanted, got] = [parts(pattern), parts(resource)]
  return wanted.every((part, at) => matches(part, got[at] ?? ''))
}
const parts = (arn: string): string[] => {
  const all = arn.split(':')
  return [...all.slice(0, 5), all.slice(5).join(':')]
}

type Compare = (wanted: string, got: string) => boolean
const operators: Readonly<Record<string, { compare: Compare; negated?: boolean }>> = {
  StringEquals: { compare: (wanted, got) => wanted === got },
  StringNotEquals: { compare: (wanted, got) => wanted === got, negated: true },
  StringLike: { compare: matches },
  StringNotLike: { compare: matches, negated: true },
  ArnEquals: { compare: coversArn },
  ArnLike: { compare: coversArn },
  ArnNotLike: { compare: coversArn, negated: true },
  Bool: { compare: (wanted, got) => wanted.toLowerCase() === got.toLowerCase() },
  NumericLessThan: { compare: (wanted, got) => Number(got) < Number(wanted) },
}

const holds = (name: string, wanted: readonly string[], got: readonly string[] | undefined): boolean => {
  const [, set, base = '', ifExists] = /^(?:(ForAllValues|ForAnyValue):)?(.+?)(IfExists)?$/.exec(name) ?? []
  if (base === 'Null') return wanted.includes(String(got === undefined))
  const operator = operators[base]
  if (operator === undefined) throw new Error(`This evaluator does not know the condition operator ${name}`)
  const { compare, negated = false } = operator
  const fits = (value: string): boolean => wanted.some((one) => compare(one, value)) !== negated
  if (set === 'ForAllValues') return (got ?? []).every(fits)
  if (got === undefined) return ifExists !== undefined || (negated && set === undefined)
  if (set === 'ForAnyValue') return got.some(fits)
  const [value] = got
  if (value === undefined || got.length > 1) throw new Error(`${name} compares one value, got ${JSON.stringify(got)}`)
  return fits(value)
}
