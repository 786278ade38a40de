import { createHash } from 'node:crypto'
import type { Feeds, TensorValue } from './tensors.ts'

/** Equal for rows of equal inputs. */
export function hashOf(feeds: Feeds): string {
  const hash = createHash('sha1')
  for (const name of Object.keys(feeds).sort()) {
    const value = feeds[name]
    if (!value) continue
    hash.update(`${name} ${value.dims} `)
    if ('texts' in value) hash.update(JSON.stringify(value.texts))
    else hash.update(value.bytes)
  }
  return hash.digest('base64')
}

/** A row of several samples as so many rows of one; itself where its inputs do not hold as many. */
export function samplesOf(feeds: Feeds, each: number): Feeds[] {
  if (each <= 1 || Object.values(feeds).some(({ dims }) => dims[0] !== each)) return [feeds]
  return Array.from({ length: each }, (_, at) =>
    Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, sampleOf(value, at, each)])),
  )
}

function sampleOf(value: TensorValue, at: number, each: number): TensorValue {
  const dims = [1, ...value.dims.slice(1)]
  if ('texts' in value) {
    const step = value.texts.length / each
    return { type: 'string', dims, texts: value.texts.slice(at * step, (at + 1) * step) }
  }
  const step = value.bytes.length / each
  return { type: value.type, dims, bytes: value.bytes.subarray(at * step, (at + 1) * step) }
}
