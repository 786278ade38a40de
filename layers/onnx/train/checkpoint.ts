import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Everything a run needs to go on as if it had never stopped; which samples come next follows from seed and step. */
export interface Checkpoint {
  step: number
  /** Steps in all, on which the learning rate depends. */
  steps: number
  /** Points of the training curve so far, and the sum of losses since the last one. */
  curve: { step: number; loss: number; rate: number }[]
  loss_sum: number
  /** Wall-clock milliseconds trained so far. */
  trained_ms: number
  /** Weights, moments and running statistics by name. */
  state: Map<string, Float32Array>
}

const MAGIC = 'aideploy-training-1\n'
const DIGEST_BYTES = 32

const bytesOf = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

/**
 * Writes the checkpoint beside its place, forces it to the disk and moves it there: whoever reads finds the old one or the new one,
 * whole. `identity` names what is trained on what; only the same reads it again.
 * Layout: magic, SHA-256 of the rest, u32 length of a JSON header, header, float32 values one vector after the other.
 */
export const writeCheckpoint = (path: string, identity: string, { state, ...rest }: Checkpoint): void => {
  const vectors = [...state].map(([name, values]) => ({ name, length: values.length }))
  const header = Buffer.from(JSON.stringify({ ...rest, identity, vectors }))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(header.length)
  const parts = [length, header, ...[...state.values()].map(bytesOf)]
  const digest = createHash('sha256')
  for (const part of parts) digest.update(part)
  mkdirSync(dirname(path), { recursive: true })
  const beside = `${path}.new`
  const file = openSync(beside, 'w')
  try {
    for (const part of [Buffer.from(MAGIC), digest.digest(), ...parts]) writeWhole(file, part)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(beside, path)
}

/** A write may take less than it was given. */
const writeWhole = (file: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}

interface Header extends Omit<Checkpoint, 'state'> {
  identity: string
  vectors: { name: string; length: number }[]
}

/** The checkpoint there; undefined when there is none, when it is not whole, or when it is of something else. */
export const readCheckpoint = (path: string, identity: string): Checkpoint | undefined => {
  const bytes = contentOf(path)
  const body = bytes && wholeBody(bytes)
  if (!body) return undefined
  const start = 4 + body.readUInt32LE(0)
  // What a digest of ours covers is what `writeCheckpoint` wrote.
  const header = JSON.parse(body.toString('utf8', 4, start)) as Header
  if (header.identity !== identity) return undefined
  const { vectors, identity: _, ...rest } = header
  const state = new Map<string, Float32Array>()
  let at = start
  for (const { name, length } of vectors) {
    const values = new Float32Array(length)
    bytesOf(values).set(body.subarray(at, at + 4 * length))
    state.set(name, values)
    at += 4 * length
  }
  return { ...rest, state }
}

const contentOf = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

const wholeBody = (bytes: Buffer): Buffer | undefined => {
  const start = MAGIC.length + DIGEST_BYTES
  if (bytes.length < start + 4 || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
  const body = bytes.subarray(start)
  return createHash('sha256').update(body).digest().equals(bytes.subarray(MAGIC.length, start)) ? body : undefined
}
