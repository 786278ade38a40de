import type { Client, Credentials } from './client.ts'

/** What the checks know and find out, in the order of a model's life. */
export interface Facts {
  client: Client
  username: string
  password: string
  deployment_type: string
  /** A small trained model, and an input that fits it. */
  model: { file_name: string; bytes: Uint8Array<ArrayBuffer>; input: unknown }
  /** A model of more than one part, where there is one. */
  large: { file_name: string; bytes: Uint8Array<ArrayBuffer> } | undefined
  /** Longest wait for optimising, deploying, waking. */
  patience_s: number
  as?: Credentials
  key?: { id: string; as: Credentials }
  model_id?: string
  optimized_id?: string
  deployment_id?: string
  endpoint?: string
  requests_before?: number
  requests_made: number
}

/** A fact an earlier check left; the list of what a check needs makes sure of it. */
export const known = <Name extends keyof Facts>(facts: Facts, name: Name): NonNullable<Facts[Name]> => {
  const fact = facts[name]
  if (fact === undefined || fact === null) throw new Error(`${name} is not known`)
  return fact
}
