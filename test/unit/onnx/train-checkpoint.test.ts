import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { jobOf } from '../../../layers/onnx/distill/distil.ts'
import type { TrainingJob } from '../../../layers/onnx/distill/job.ts'
import { openJob } from '../../../layers/onnx/distill/run-job.ts'
import { startGuarded } from '../../../layers/onnx/evaluate/guarded-process.ts'
import { readCheckpoint, writeCheckpoint } from '../../../layers/onnx/train/checkpoint.ts'
import { newPerceptron } from '../../../layers/onnx/train/new-perceptron.ts'
import { startPace } from '../../../layers/onnx/train/pace.ts'
import { float32, noise } from './training-support.ts'

const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string): string => join(folder, name)

writeModelFile(newPerceptron({ inputs: 32, hidden: [64, 64], classes: 5 }), file('teacher.onnx'))
const rows = Array.from({ length: 600 }, () => ({ x: float32([1, 32], noise(32)) }))

const job = (name: string, more: Partial<Parameters<typeof jobOf>[0]> = {}): TrainingJob =>
  jobOf(
    {
      candidate_path: file(`${name}.onnx`),
      data: { rows },
      steps: 1500,
      threads: 1,
      checkpoint: { path: file(`${name}.state`), every_ms: 20 },
      ...more,
    },
    file('teacher.onnx'),
    { kind: 'narrower', share: 0.5 },
    2e-3,
  )

const entry = new URL('../../../layers/onnx/distill/training-child.ts', import.meta.url)

describe('a training process that is killed', () => {
  it('goes on where it was, to the very same weights', async () => {
    const child = startGuarded(entry, { memory_bytes: 2 ** 31, label: 'The training' })
    await child.ask({ kind: 'open', job: job('killed') }, 20_000)
    const going = child.ask({ kind: 'advance', until_step: 1500, limit_ms: 20_000 }, 30_000)
    const ended = expect(going).rejects.toThrow(/SIGKILL/)
    while (!existsSync(file('killed.state'))) await sleep(5)
    await sleep(30)
    await child.stop()
    await ended
    expect(existsSync(file('killed.onnx'))).toBe(false)

    const resumed = await openJob(job('killed'))
    expect(resumed.opened.resumed_at).toBeGreaterThan(0)
    expect(resumed.opened.resumed_at).toBeLessThan(1500)
    const { curve } = await resumed.advance(1500, 60_000)
    const second = await resumed.finish()

    const whole = await openJob(job('whole', { checkpoint: undefined }))
    expect(whole.opened.resumed_at).toBe(0)
    const uninterrupted = await whole.advance(1500, 60_000)
    const first = await whole.finish()
    expect(second).toEqual(first)
    expect(curve).toEqual(uninterrupted.curve)
    expect(readFileSync(file('killed.onnx')).equals(readFileSync(file('whole.onnx')))).toBe(true)
  }, 60_000)

  it('starts anew where anything that decides the weights has changed', async () => {
    const first = await openJob(job('other'))
    await first.advance(200, 20_000)
    expect(existsSync(file('other.state'))).toBe(true)
    expect((await openJob(job('other'))).opened.resumed_at).toBeGreaterThan(0)
    expect((await openJob(job('other', { seed: 2 }))).opened.resumed_at).toBe(0)
    expect((await openJob(job('other', { optimizer: { kind: 'sgd' } }))).opened.resumed_at).toBe(0)
    expect((await openJob(job('other', { data: { rows: rows.slice(1) } }))).opened.resumed_at).toBe(0)
  }, 30_000)
})

describe('a checkpoint file', () => {
  const state = new Map([
    ['w', Float32Array.of(1, -2.5, 3e-8)],
    ['empty', new Float32Array(0)],
  ])
  const checkpoint = { step: 7, steps: 20, curve: [{ step: 5, loss: 0.25, rate: 1e-3 }], loss_sum: 0.5, trained_ms: 12, state }

  it('comes back as it was, for the same run alone', () => {
    writeCheckpoint(file('deep/er/a.state'), 'this run', checkpoint)
    expect(readCheckpoint(file('deep/er/a.state'), 'this run')).toEqual(checkpoint)
    expect(readCheckpoint(file('deep/er/a.state'), 'another run')).toBeUndefined()
    expect(existsSync(file('deep/er/a.state.new'))).toBe(false)
  })

  it('counts for nothing when it is cut off, changed or something else', () => {
    const path = file('b.state')
    expect(readCheckpoint(path, 'run')).toBeUndefined()
    writeCheckpoint(path, 'run', checkpoint)
    const whole = readFileSync(path)
    for (let length = 0; length < whole.length; length += 9) {
      writeFileSync(path, whole)
      truncateSync(path, length)
      expect(readCheckpoint(path, 'run')).toBeUndefined()
    }
    const changed = Buffer.from(whole)
    changed[changed.length - 1]! ^= 1
    writeFileSync(path, changed)
    expect(readCheckpoint(path, 'run')).toBeUndefined()
  })
})

describe('the pace of a run', () => {
  const schedule = { kind: 'cosine', rate: 1, warm_up_steps: 100 } as const

  it('plans as many steps as fit the time, and lets the rate come down by then', () => {
    const pace = startPace({ steps: 10_000, schedule, budget_ms: 1000 }, undefined)
    for (let step = 1; step <= 12; step++) pace.took(step, step <= 4 ? 50 : 2)
    expect(pace.steps()).toBe(12 + (900 - 4 * 50 - 8 * 2) / 2)
    expect(pace.rate(pace.steps())).toBeLessThan(1e-4)
    expect(startPace({ steps: 10_000, schedule, budget_ms: 1000 }, { step: 13, ...pace.kept() }).steps()).toBe(pace.steps())
  })

  it('never plans more than was asked', () => {
    const pace = startPace({ steps: 40, schedule: { kind: 'constant', rate: 1 }, budget_ms: 1e6 }, undefined)
    for (let step = 1; step <= 12; step++) pace.took(step, 1)
    expect(pace.steps()).toBe(40)
  })
})
