import type { MessageName } from './schema.ts'

/** How a field's value looks in memory. */
export interface Kinds {
  /** int32 or enum. */
  int32: number
  /** int64 that must fit a safe integer: sizes, versions, dimensions. */
  int64: number
  /** int64 kept exact. */
  bigint: bigint
  float: number
  string: string
  bytes: Uint8Array
  strings: string[]
  byteses: Uint8Array[]
  /** Repeated int64 as numbers (`dims`), never packed. */
  int64s: number[]
  float32_array: Float32Array
  float64_array: Float64Array
  int32_array: Int32Array
  int64_array: BigInt64Array
  uint64_array: BigUint64Array
}

export type ScalarKind = keyof Kinds
export type ArrayKind = 'float32_array' | 'float64_array' | 'int32_array' | 'int64_array' | 'uint64_array'

export interface ScalarField<K extends ScalarKind> {
  number: number
  kind: K
  /** Typed arrays only: written as one packed field. */
  packed?: boolean
  /** Reading this member clears the others of its message that say the same. */
  oneof?: boolean
  /** Large values of files read through `readModelFile` stay in the file. */
  lazy?: boolean
}
export interface MessageField<M extends string, R extends 'message' | 'messages'> {
  number: number
  kind: R
  message: M
  oneof?: boolean
}
export type Field = ScalarField<ScalarKind> | MessageField<MessageName, 'message' | 'messages'>

export const scalar =
  <K extends ScalarKind>(kind: K) =>
  (number: number, options: { packed?: boolean; oneof?: boolean; lazy?: boolean } = {}): ScalarField<K> => ({
    number,
    kind,
    ...options,
  })
export const int32 = scalar('int32')
export const int64 = scalar('int64')
export const bigint = scalar('bigint')
export const float = scalar('float')
export const string = scalar('string')
export const bytes = scalar('bytes')
export const strings = scalar('strings')
export const byteses = scalar('byteses')
export const message = <M extends string>(number: number, name: M, oneof?: boolean): MessageField<M, 'message'> => ({
  number,
  kind: 'message',
  message: name,
  oneof,
})
export const messages = <M extends string>(number: number, name: M): MessageField<M, 'messages'> => ({
  number,
  kind: 'messages',
  message: name,
})
export const weights = { packed: true, lazy: true }
