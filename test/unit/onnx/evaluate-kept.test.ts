import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { CompareOptions } from '../../../layers/onnx/evaluate/compare.ts'
import { comparisonRoom } from '../../../layers/onnx/evaluate/compare-apart.ts'
import { generatedSource, isHopeless, judge } from '../../../layers/onnx/evaluate/judge.ts'
import { rememberedRows } from '../../../layers/onnx/evaluate/remembered-rows.ts'
import type { ModelRunner } from '../../../layers/onnx/evaluate/runner.ts'
import type { Feeds, TensorValue } from '../../../layers/onnx/evaluate/tensors.ts'
import { keptRooms } from '../../../layers/optimizers/kept-rooms.ts'
import { denseModel, writeModel } from '../../support/models.ts'
import { descendants } from '../../support/processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'kept-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, bytes: Uint8Array) => writeModel(join(folder, name), bytes)
const floats = (...values: number[]): TensorValue => ({
  type: 'float32',
  dims: [1, values.length],
  bytes: new Uint8Array(Float32Array.from(values).buffer),
})
const firstOf = (row: Feeds | undefined): number => {
  const value = row?.x
  return value && 'bytes' in value ? (new Float32Array(value.bytes.slice().buffer)[0] ?? 0) : 0
}

describe('the answers of an original', () => {
  const counting = () => {
    const asked: number[] = []
    const runRows = async (rows: Feeds[]) => {
      asked.push(...rows.map(firstOf))
      return rows.map((row) => ({ y: floats(10 * firstOf(row)) }))
    }
    return { asked, runRows }
  }
  const rows = Array.from({ length: 6 }, (_, at): Feeds => ({ x: floats(at) }))

  it('are computed once, whatever pieces they are asked for in, and are those of their rows', async () => {
    const { asked, runRows } = counting()
    const answers = rememberedRows({ runRows })
    const limit = { timeout_ms: 1 }
    await answers(0, rows.slice(0, 2), limit)
    const across = await answers(1, rows.slice(1, 5), limit)
    expect(across.map(({ y }) => firstOf(y && { x: y }))).toEqual([10, 20, 30, 40])
    expect((await answers(0, rows, limit)).map(({ y }) => firstOf(y && { x: y }))).toEqual([0, 10, 20, 30, 40, 50])
    expect(asked).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('are computed again where keeping them would take too much', async () => {
    const { asked, runRows } = counting()
    const answers = rememberedRows({ runRows }, 3 * 4)
    await answers(0, rows, { timeout_ms: 1 })
    const again = await answers(0, rows, { timeout_ms: 1 })
    expect(asked).toEqual([0, 1, 2, 3, 4, 5, 3, 4, 5])
    expect(again.map(({ y }) => firstOf(y && { x: y }))).toEqual([0, 10, 20, 30, 40, 50])
  })
})

describe('a hopeless candidate', () => {
  const line = { sqnr_db: 14, top1_agreement: 0.97 }

  it('is told by decisions where it makes several, else by noise', () => {
    const seen = { sqnr_db: 10, top1_agreement: null, classes_seen: 0 }
    expect(isHopeless(seen, line)).toBe(true)
    expect(isHopeless({ ...seen, sqnr_db: 15 }, line)).toBe(false)
    expect(isHopeless(seen)).toBe(false)
    expect(isHopeless({ ...seen, sqnr_db: -1 })).toBe(true)
    expect(isHopeless({ ...seen, top1_agreement: 1, classes_seen: 3 }, line)).toBe(false)
    expect(isHopeless({ sqnr_db: 40, top1_agreement: 0.9, classes_seen: 3 }, line)).toBe(true)
    expect(isHopeless({ ...seen, top1_agreement: 1, classes_seen: 1 }, line)).toBe(true)
  })

  it('keeps the benefit of the doubt while there is time: rows that matter may be rare', async () => {
    // Noise in the first rows, and a signal that drowns it in later ones.
    const answer = async (feeds: Feeds[], factor: number) => feeds.map((row) => ({ y: floats(factor * firstOf(row)) }))
    const source = {
      ...generatedSource([], { image_size: 1, sequence_size: 1, integer_limit: 1 }, undefined),
      row: (index: number): Feeds => ({ x: floats(index < 100 ? 1 : 100) }),
    }
    const candidate = { runRows: (feeds: Feeds[]) => answer(feeds, 1).then((all) => all.map(noisy)) }
    const noisy = ({ y }: { y: TensorValue }) => ({ y: floats(firstOf({ x: y }) + 0.5) })
    const judged = await judge((_, feeds) => answer(feeds, 1), only(candidate), source, {
      hopeless: { ...line, sqnr_db: 20 },
      budget_ms: 60_000,
      run_limit_ms: 1000,
    })
    expect(judged.fidelity.rows).toBe(128)
    expect(judged.fidelity.sqnr_db).toBeGreaterThan(30)
  })
})

describe('labels', () => {
  const judged = (wrong_of: number, task_loss: number | undefined) => {
    const scores = (right: boolean) => ({ y: floats(...(right ? [1, 0] : [0, 1])) })
    const source = {
      ...generatedSource([], { image_size: 1, sequence_size: 1, integer_limit: 1 }, undefined),
      count: 9000,
      row: (index: number): Feeds => ({ x: floats(index) }),
      label: () => 0,
    }
    const candidate = { runRows: async (feeds: Feeds[]) => feeds.map((row) => scores(firstOf(row) % wrong_of !== 0)) }
    const line = { sqnr_db: -200, top1_agreement: 0, task_loss }
    const options = { hopeless: line, budget_ms: 60_000, run_limit_ms: 1000 }
    return judge(async (_, feeds) => feeds.map(() => scores(true)), only(candidate), source, options)
  }

  it('end it once they have settled on which side of the gate a candidate is, after a thousand at the earliest', async () => {
    const rowsOf = async (wrong_of: number, task_loss?: number) => (await judged(wrong_of, task_loss)).task?.rows ?? 0
    const [good, bad, near] = [await rowsOf(5000, 0.02), await rowsOf(4, 0.02), await rowsOf(50, 0.02)]
    for (const rows of [good, bad]) {
      expect(rows).toBeGreaterThanOrEqual(1000)
      expect(rows).toBeLessThan(2000)
    }
    // One in fifty is lost, and that is the line.
    expect(near).toBe(9000)
    expect(await rowsOf(4)).toBe(9000)
  })
})

const only = ({ runRows }: Pick<ModelRunner, 'runRows'>): ModelRunner => ({
  runRows,
  load: () => Promise.reject(new Error('not asked for')),
  run: () => Promise.reject(new Error('not asked for')),
  stop: async () => undefined,
})

describe('a room for comparisons', () => {
  const request = (original_path: string, candidate_path: string): CompareOptions => ({
    original_path,
    candidate_path,
    budget_ms: 60,
    threads: 1,
    memory_limit_bytes: 600 * 2 ** 20,
    load_limit_ms: 20_000,
    run_limit_ms: 5000,
  })
  const [a, b, bad] = [
    file('a.onnx', denseModel([16, 5])),
    file('b.onnx', denseModel([16, 32, 5])),
    file('bad.onnx', Uint8Array.of(9, 9, 9)),
  ]
  const mine = () => descendants(process.pid).length

  it('keeps the original for the next candidate, takes another original, outlives a bad one, and leaves nobody', async () => {
    const before = mine()
    const room = comparisonRoom()
    const first = await room.compare(request(a, a), 30_000)
    // The comparison's and the original's.
    expect(mine()).toBe(before + 2)
    const second = await room.compare(request(a, b), 30_000)
    expect([first, second].map(({ fidelity }) => fidelity.top1_agreement === 1)).toEqual([true, false])
    expect(second.original.rss_bytes).toBe(first.original.rss_bytes)
    expect((await room.compare(request(b, b), 30_000)).fidelity.sqnr_db).toBe(200)
    await expect(room.compare(request(b, bad), 30_000)).rejects.toMatchObject({
      message: expect.stringContaining('The candidate'),
    })
    await expect(room.compare(request(a, a), 1)).rejects.toMatchObject({ reason: 'timeout' })
    expect((await room.compare(request(a, a), 30_000)).fidelity.sqnr_db).toBe(200)
    await room.close()
    await expect.poll(mine, { timeout: 5000 }).toBe(before)
  })
})

describe('rooms that are kept', () => {
  const rooms = () => {
    const closed: number[] = []
    let opened = 0
    const open = () => {
      const number = opened++
      return { number, close: async () => void closed.push(number) }
    }
    return { closed, open }
  }
  const number = async (room: { number: number }) => room.number

  it('serve one call after another until they are closed, and are opened anew afterwards', async () => {
    const { closed, open } = rooms()
    const kept = keptRooms(open, Number.POSITIVE_INFINITY)
    expect([await kept.use(number), await kept.use(number)]).toEqual([0, 0])
    await kept.close()
    expect(closed).toEqual([0])
    expect(await kept.use(number)).toBe(1)
  })

  it('are closed at once where none shall be kept, and after a while where nobody comes', async () => {
    const none = rooms()
    const brief = keptRooms(none.open, 0)
    expect([await brief.use(number), await brief.use(number)]).toEqual([0, 1])
    expect(none.closed).toEqual([0, 1])
    const some = rooms()
    await keptRooms(some.open, 20).use(number)
    await expect.poll(() => some.closed, { timeout: 5000 }).toEqual([0])
  })

  it('leave calls at the same time alone, and are closed under a call whose signal says so', async () => {
    const { closed, open } = rooms()
    const kept = keptRooms(open, Number.POSITIVE_INFINITY)
    let end = () => {}
    const long = kept.use((room) => new Promise<number>((resolve) => (end = () => resolve(room.number))))
    expect(await kept.use(number)).toBe(1)
    expect(closed).toEqual([1])
    end()
    expect(await long).toBe(0)
    await kept.use(number, AbortSignal.abort())
    expect(closed).toEqual([1, 0])
  })
})
