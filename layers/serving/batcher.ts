import { numericTypes, type WireTensor } from './datatypes.ts'

/** What a run used, this call's share of its batch; microseconds. */
export interface RunUsage {
  compute_us: number
  cpu_us: number
  batch_size: number
}

export interface Batcher {
  /** Runs the tensors alone or together with whatever else is queued; never waits for more to come. */
  submit(inputs: WireTensor[], done: (error: unknown, outputs: WireTensor[], usage: RunUsage) => void): { cancel(): void }
  /** Resolves when nothing is queued or running. */
  idle(): Promise<void>
}

interface Job {
  inputs: WireTensor[]
  rows: number
  /** Jobs with one key differ in nothing but their rows. Empty: runs alone. */
  key: string
  done: (error: unknown, outputs: WireTensor[], usage: RunUsage) => void
  cancelled: boolean
}

/** Asking for the CPU time twice costs 12 µs, more than a small model's share of a batch: short runs are measured one in this many. */
const measure_every = 16
const long_run_us = 2000

const none: RunUsage = { compute_us: 0, cpu_us: 0, batch_size: 0 }

/** Rows of a call whose inputs all have the same first dimension, else 0: it cannot share a batch. */
const rowsOf = (inputs: readonly WireTensor[]): number => {
  const rows = inputs[0]?.shape[0] ?? 0
  return inputs.every(({ shape }) => shape[0] === rows) ? rows : 0
}

const rowBytes = (inputs: readonly WireTensor[]): number =>
  inputs.reduce((sum, { data, shape }) => sum + data.length / (shape[0] || 1), 0)

const keyOf = (inputs: readonly WireTensor[]): string => {
  let key = ''
  for (const { shape } of inputs) for (let i = 1; i < shape.length; i++) key += i === 1 ? `|${shape[i]}` : `,${shape[i]}`
  return `${key}|`
}

/** Stacks the calls' tensors along the first dimension. */
export const stacked = (calls: readonly (readonly WireTensor[])[], rows: number): WireTensor[] =>
  (calls[0] ?? []).map(({ name, datatype, shape }, position) => {
    const parts = calls.map((inputs) => inputs[position]!.data)
    if (datatype === 'BYTES')
      return {
        name,
        datatype,
        shape: [rows, ...shape.slice(1)],
        data: parts.flatMap((part) => (part instanceof Uint8Array ? [] : part)),
      }
    const row_bytes = shape.slice(1).reduce((size, dimension) => size * dimension, numericTypes[datatype].bytes)
    const data = new Uint8Array(rows * row_bytes)
    let at = 0
    for (const part of parts) {
      if (!(part instanceof Uint8Array)) continue
      data.set(part, at)
      at += part.length
    }
    return { name, datatype, shape: [rows, ...shape.slice(1)], data }
  })

/** Rows `[from, from + count)` of a stacked tensor. */
export const sliced = (tensor: WireTensor, from: number, count: number, rows: number): WireTensor => {
  const per_row = tensor.data.length / rows
  const shape = [count, ...tensor.shape.slice(1)]
  const { data } = tensor
  const [start, end] = [from * per_row, (from + count) * per_row]
  return { ...tensor, shape, data: data instanceof Uint8Array ? data.subarray(start, end) : data.slice(start, end) }
}

/**
 * Zero-wait micro-batching: while a run computes, calls queue; the next run takes all queued ones of one shape, up to `limit()` rows.
 * `limit(bytes of one row)` is 1 until batching was proven harmless and useful for this model.
 */
export const createBatcher = (
  run: (inputs: readonly WireTensor[]) => Promise<WireTensor[]>,
  limit: (row_bytes: number) => number,
): Batcher => {
  let queue: Job[] = []
  let running = false
  let waiters: (() => void)[] = []
  let cpu_per_wall = 1
  let measured_in = 0

  const take = (): Job[] => {
    const rest: Job[] = []
    const batch: Job[] = []
    let max = 1
    let rows = 0
    for (const job of queue) {
      if (job.cancelled) continue
      const head = batch[0]
      const joins = head !== undefined && head.key !== '' && job.key === head.key && rows + job.rows <= max
      if (head === undefined || joins) {
        if (head === undefined) max = limit(rowBytes(job.inputs))
        batch.push(job)
        rows += job.rows
      } else rest.push(job)
    }
    queue = rest
    return batch
  }

  const answer = (batch: readonly Job[], rows: number, outputs: readonly WireTensor[], usage: RunUsage): void => {
    if (batch.length === 1) {
      batch[0]!.done(undefined, [...outputs], usage)
      return
    }
    let from = 0
    for (const job of batch) {
      const at = from
      job.done(
        undefined,
        outputs.map((tensor) => sliced(tensor, at, job.rows, rows)),
        usage,
      )
      from += job.rows
    }
  }

  const runBatch = async (batch: readonly Job[]): Promise<void> => {
    const rows = batch.reduce((sum, job) => sum + job.rows, 0)
    const inputs =
      batch.length === 1
        ? batch[0]!.inputs
        : stacked(
            batch.map((job) => job.inputs),
            rows,
          )
    const cpu = measured_in === 0 ? process.cpuUsage() : undefined
    const started = performance.now()
    try {
      const outputs = await run(inputs)
      const wall_us = (performance.now() - started) * 1000
      if (cpu) {
        const used = process.cpuUsage(cpu)
        cpu_per_wall = (used.user + used.system) / wall_us
      }
      measured_in = wall_us > long_run_us ? 0 : measured_in === 0 ? measure_every : measured_in - 1
      const share = 1 / batch.length
      answer(batch, rows, outputs, {
        compute_us: Math.round(wall_us * share),
        cpu_us: Math.round(wall_us * cpu_per_wall * share),
        batch_size: batch.length,
      })
    } catch (error) {
      // One bad input must not fail its neighbours: the batch is repeated call by call.
      if (batch.length === 1) batch[0]!.done(error, [], none)
      else for (const job of batch) await runBatch([job])
    }
  }

  const pump = async (): Promise<void> => {
    for (let batch = take(); batch.length > 0; batch = take()) await runBatch(batch)
    running = false
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }

  return {
    submit: (inputs, done) => {
      const rows = limit(0) > 1 ? rowsOf(inputs) : 0
      const job: Job = { inputs, rows: rows || 1, key: rows > 0 ? keyOf(inputs) : '', done, cancelled: false }
      queue.push(job)
      if (!running) {
        running = true
        // In the check phase everything this turn brought has been queued.
        setImmediate(() => void pump())
      }
      return {
        cancel: () => {
          job.cancelled = true
        },
      }
    },
    idle: () => (running ? new Promise((resolve) => waiters.push(resolve)) : Promise.resolve()),
  }
}
