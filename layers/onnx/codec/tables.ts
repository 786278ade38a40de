import type { Field } from './fields.ts'
import { type MessageName, schema } from './schema.ts'

/** A field with its name and its tag number for both wire types it may come in. */
export type NamedField = Field & { name: string }

/** One message as reader and writer want it. */
export interface MessageTable {
  name: MessageName
  /** Sparse array: field number → field. */
  by_number: (NamedField | undefined)[]
  fields: NamedField[]
  lists: string[]
  oneofs: string[]
}

const listKinds: ReadonlySet<string> = new Set(['messages', 'strings', 'byteses', 'int64s'])

const tableOf = (name: MessageName): MessageTable => {
  const fields = Object.entries<Field>(schema[name]).map(([field_name, field]) => ({ ...field, name: field_name }))
  const by_number: (NamedField | undefined)[] = []
  for (const field of fields) by_number[field.number] = field
  return {
    name,
    by_number,
    fields: fields.sort((a, b) => a.number - b.number),
    lists: fields.filter((field) => listKinds.has(field.kind)).map((field) => field.name),
    oneofs: fields.filter((field) => field.oneof).map((field) => field.name),
  }
}

const isMessageName = (name: string): name is MessageName => Object.hasOwn(schema, name)

export const tables: Readonly<Record<string, MessageTable>> = Object.fromEntries(
  Object.keys(schema)
    .filter(isMessageName)
    .map((name) => [name, tableOf(name)]),
)

/** A message while reader and writer work on it: field name → value, of the kind its table says. */
export type LooseMessage = Record<string, unknown>

/** An empty message: every list there and empty, everything else absent. */
export const emptyMessage = (table: MessageTable): LooseMessage => {
  const message: LooseMessage = {}
  for (const name of table.lists) message[name] = []
  return message
}
