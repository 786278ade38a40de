import type { Template } from 'aws-cdk-lib/assertions'
import * as z from 'zod'

const Texts = z.union([z.string(), z.array(z.unknown())]).transform((value) => (Array.isArray(value) ? value : [value]))
const Statement = z.object({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: Texts.optional(),
  NotAction: z.unknown().optional(),
  Resource: z.unknown().optional(),
  NotResource: z.unknown().optional(),
  Condition: z.record(z.string(), z.unknown()).optional(),
})
const Document = z.object({ Statement: z.array(Statement) })

export interface AllowStatement {
  /** Logical id of the resource it stands in. */
  owner: string
  type: string
  actions: string[]
  /** ARNs with every CloudFormation reference written as `${Name}`. */
  resources: string[]
  condition: Record<string, unknown> | undefined
}

/** Every Allow statement of a template, whatever kind of resource holds it; trust and resource policies name no resource and are left out. */
export const allowStatements = (template: Template): AllowStatement[] =>
  Object.entries(
    z.record(z.string(), z.object({ Type: z.string(), Properties: z.unknown() })).parse(template.toJSON().Resources),
  ).flatMap(([owner, { Type, Properties }]) =>
    documentsIn(Properties)
      .flatMap(({ Statement: statements }) => statements)
      .filter(({ Effect, Resource }) => Effect === 'Allow' && Resource !== undefined)
      .map(({ Action = [], Resource, Condition }) => ({
        owner,
        type: Type,
        actions: Action.map(String),
        resources: [Resource].flat().map(written),
        condition: Condition,
      })),
  )

const documentsIn = (value: unknown): z.output<typeof Document>[] => {
  if (typeof value !== 'object' || value === null) return []
  const parsed = Document.safeParse(value)
  return parsed.success && 'Statement' in value ? [parsed.data] : Object.values(value).flatMap(documentsIn)
}

/** `{"Fn::GetAtt": ["x", "Arn"]}` → `${x.Arn}`, joins and imports spelled out. */
export const written = (value: unknown): string => {
  if (typeof value === 'string') return value
  const [[name, inner] = ['', '']] = Object.entries(Object(value))
  if (name === 'Ref') return `\${${inner}}`
  if (name === 'Fn::GetAtt') return `\${${[inner].flat().join('.')}}`
  if (name === 'Fn::ImportValue') return `\${${written(inner)}}`
  if (name === 'Fn::Join' && Array.isArray(inner)) return z.array(z.unknown()).parse(inner[1]).map(written).join(String(inner[0]))
  if (name === 'Fn::Sub') return String([inner].flat()[0])
  return JSON.stringify(value)
}
