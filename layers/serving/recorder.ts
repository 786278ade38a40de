import type { WireTensor } from './datatypes.ts'

export interface RecorderOptions {
  /** Rows kept. */
  rows: number
  /** Share of the calls looked at; default 1. */
  rate?: number
  /** Default 64 MiB: past it no further row is kept, and larger ones replace none. */
  max_bytes?: number
  /** Whether the rows of a call are requests of their own; default true. Where the model's first dimension is no free one, a call is one row. */
  splits?: boolean
  random?: () => number
}

/** A sample of the inputs a model was given. */
export interface Recorder {
  /** Looks at a call's inputs; copies what it keeps. */
  note(inputs: readonly WireTensor[]): void
  /** The sample as a file, in pieces; undefined when nothing came since the last one. */
  sample(): Uint8Array[] | undefined
}

interface Row {
  tensors: { name: string; datatype: string; shape: number[]; data: Uint8Array }[]
  bytes: number
}

/**
 * Keeps an even sample of all rows seen by Algorithm R (Vitter 1985, “Random sampling with a reservoir”, ACM TOMS 11:1): the n-th row
 * replaces one of k with probability k/n. A call of several rows counts as those, where all its inputs have them. The file's first line is
 * JSON, `{seen, rows: [[{name, datatype, shape, bytes}]]}`, its data follow in the same order; BYTES are the JSON text of a list.
 */
export const createRecorder = ({
  rows,
  rate = 1,
  max_bytes = 64 * 2 ** 20,
  splits = true,
  random = Math.random,
}: RecorderOptions): Recorder => {
  const kept: Row[] = []
  let most = rows
  let seen = 0
  let told = 0
  let held_bytes = 0

  const place = (row: () => Row): void => {
    seen += 1
    const at = kept.length < most ? kept.length : Math.floor(random() * seen)
    if (at >= most) return
    const made = row()
    const freed = kept[at]?.bytes ?? 0
    if (held_bytes - freed + made.bytes > max_bytes) {
      // Full before its time: it stays as large as it is.
      if (at === kept.length) most = kept.length
      return
    }
    held_bytes += made.bytes - freed
    kept[at] = made
  }

  return {
    note: (inputs) => {
      if (rate < 1 && random() >= rate) return
      const count = splits ? rowsOf(inputs) : 1
      if (count <= 1) place(() => rowAt(inputs, 0, 1))
      else for (let at = 0; at < count; at += 1) place(() => rowAt(inputs, at, count))
    },
    sample: () => {
      if (seen === told || kept.length === 0) return undefined
      told = seen
      const header = {
        seen,
        rows: kept.map(({ tensors }) => tensors.map(({ data, ...tensor }) => ({ ...tensor, bytes: data.length }))),
      }
      const data = Buffer.concat(kept.flatMap(({ tensors }) => tensors.map((tensor) => tensor.data)))
      return [Buffer.from(`${JSON.stringify(header)}\n`), data]
    },
  }
}

/** Rows of a call whose inputs all have as many, else 1: the call is one. */
const rowsOf = (inputs: readonly WireTensor[]): number => {
  const count = inputs[0]?.shape[0] ?? 1
  return inputs.every(({ shape }) => shape.length > 0 && shape[0] === count) ? count : 1
}

/** A copy: the call's bytes are a part of what came over the socket, which must not be held. */
const rowAt = (inputs: readonly WireTensor[], at: number, count: number): Row => {
  const tensors = inputs.map(({ name, datatype, shape, data }) => {
    const step = data.length / count
    const part = data.slice(at * step, (at + 1) * step)
    const dims = count === 1 ? [...shape] : [1, ...shape.slice(1)]
    return {
      name,
      datatype,
      shape: dims,
      data: part instanceof Uint8Array ? Uint8Array.from(part) : Buffer.from(JSON.stringify(part)),
    }
  })
  return { tensors, bytes: tensors.reduce((sum, { data }) => sum + data.length, 0) }
}
