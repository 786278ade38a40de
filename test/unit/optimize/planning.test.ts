import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Inspection } from '../../../layers/core/domain/model.ts'
import { defineOptimizer, type Optimizer } from '../../../layers/core/ports/optimizer.ts'
import { planSearch, type SearchAsked } from '../../../layers/core/usecases/plan-search.ts'
import { suggestOptimizations } from '../../../layers/core/usecases/suggest-optimizations.ts'
import { onnxInspector } from '../../../layers/inspector/onnx.ts'
import { optimizers } from '../../../layers/optimizers/index.ts'
import { realModel } from '../../support/optimization-lab.ts'

const inspection: Inspection = { format: 'onnx', operators: { Gemm: 1 } }
const asked: SearchAsked = { method: 'auto', metadata: {}, target_size_bytes: null, target_latency_ms: null }
const row = (
  name: string,
  changes: Partial<Optimizer> & { levels?: [bytes: number, sqnr_db: number][] | string } = {},
): Optimizer => {
  const { levels = [[100, 30]], ...rest } = changes
  const known = Array.isArray(levels)
  return defineOptimizer({
    name,
    method: 'quantization',
    summary: `${name}.`,
    settings: z.looseObject({}),
    suits: () => (known ? levels.map((_, level) => ({ level })) : levels),
    ...(known && {
      expects: (_, { level }) => {
        const [size_bytes = null, sqnr_db = 0] = levels[Number(level)] ?? []
        return { size_bytes, sqnr_db, family: name }
      },
    }),
    apply: async () => ({ notes: [] }),
    ...rest,
  })
}
const names = (rows: Optimizer[], changes: Partial<SearchAsked> = {}): string[] =>
  planSearch(rows, inspection, { ...asked, ...changes }).plan.map(
    ({ optimizer, settings }) => `${optimizer}${settings.level ?? ''}`,
  )

describe('a plan', () => {
  it('is ordered by what is expected to be kept, distillation last', () => {
    const rows = [
      row('student', { method: 'distillation', levels: [[10, 90]] }),
      row('int8', {
        levels: [
          [25, 35],
          [24, 20],
        ],
      }),
      row('pruned', {
        method: 'pruning',
        levels: [
          [70, 30],
          [40, 22],
        ],
      }),
    ]
    expect(names(rows, { target_size_bytes: 5 })).toEqual(['int80', 'pruned0', 'pruned1', 'int81', 'student0'])
  })

  it('takes without expectations the best guess of each first, after all that say something', () => {
    const { expects: _, ...silent } = row('silent', {
      levels: [
        [1, 1],
        [1, 1],
      ],
    })
    const { expects: __, ...mute } = row('mute', {
      levels: [
        [1, 1],
        [1, 1],
      ],
    })
    expect(names([silent, mute, row('spoken', { levels: [[1, -5]] })])).toEqual([
      'spoken0',
      'silent0',
      'mute0',
      'silent1',
      'mute1',
    ])
    expect(planSearch([silent], inspection, asked).plan[0]).toEqual({
      optimizer: 'silent',
      method: 'quantization',
      settings: { level: 0 },
      expected_sqnr_db: 0,
      expected_size_bytes: null,
    })
  })

  it('says why an optimizer has nothing to offer, and distils only for targets or when asked to', () => {
    const rows = [row('picky', { levels: 'no weights' }), row('student', { method: 'distillation' })]
    expect(planSearch(rows, inspection, asked)).toEqual({
      plan: [],
      left_out: [
        { optimizer: 'picky', reason: 'no weights' },
        {
          optimizer: 'student',
          reason: expect.stringContaining('set target_size or target_latency, or the method distillation'),
        },
      ],
    })
    expect(names(rows, { target_latency_ms: 1 })).toEqual(['student0'])
    expect(names(rows, { method: 'distillation' })).toEqual(['student0'])
  })

  it('asks those made on request for their precision, for auto and for targets only, and custom ones only by name', () => {
    const rows = [
      row('int8', { precisions: ['int8'] }),
      row('half', { on_request: true, precisions: ['fp16'] }),
      row('own', { method: 'custom' }),
    ]
    const quantization = { method: 'quantization' as const }
    expect(names(rows, quantization)).toEqual(['int80'])
    expect(names(rows, { ...quantization, metadata: { precision: 'fp16' } })).toEqual(['half0'])
    expect(names(rows, { ...quantization, metadata: { precision: 'auto' } })).toEqual(['int80', 'half0'])
    expect(names(rows, { ...quantization, target_size_bytes: 5 })).toEqual(['int80', 'half0'])
    expect(names(rows, { ...quantization, target_size_bytes: 5, metadata: { precision: 'int8' } })).toEqual(['int80'])
    expect(names(rows)).toEqual(['int80', 'half0'])
    expect(names(rows, { method: 'custom' })).toEqual(['own0'])
  })

  it('ends at forty rungs', () => {
    const many = Array.from({ length: 60 }, (_, at): [number, number] => [1, at])
    const plan = names([row('fine', { levels: many })])
    expect(plan).toHaveLength(40)
    expect(plan[0]).toBe('fine59')
  })
})

describe('suggestions', () => {
  it('are the smallest of every method and precision that may pass the gate, with size and reason', () => {
    const rows = [
      row('int8', {
        precisions: ['int8'],
        levels: [
          [25.4, 35],
          [24, 20],
        ],
      }),
      row('other8', { precisions: ['int8'], levels: [[26, 36]] }),
      row('coarse', { precisions: ['int4'], on_request: true, levels: [[15, 12]] }),
      row('pruned', { method: 'pruning', levels: [[70, 30]] }),
    ]
    expect(suggestOptimizations(rows, { framework: 'onnx', inspection })).toEqual([
      { method: 'pruning', precision: null, expected_size_bytes: 70, reason: 'pruned. (pruned, typically 30 dB SQNR)' },
      { method: 'quantization', precision: 'int8', expected_size_bytes: 24, reason: 'int8. (int8, typically 20 dB SQNR)' },
      { method: 'quantization', precision: 'int4', expected_size_bytes: 15, reason: 'coarse. (coarse, typically 12 dB SQNR)' },
    ])
    expect(suggestOptimizations(rows, { framework: 'pytorch', inspection })).toEqual([])
    expect(suggestOptimizations(rows, { framework: 'onnx', inspection: null })).toEqual([])
  })

  it('of a real model name methods that its optimisation takes', async () => {
    const path = realModel('alexa_v0.1.onnx')
    const real = await onnxInspector().inspect(path, { framework: 'onnx', file_name: 'alexa.onnx' })
    const suggested = suggestOptimizations(optimizers, { framework: 'onnx', inspection: real })
    expect(suggested.map(({ method }) => method)).toEqual(expect.arrayContaining(['quantization', 'pruning']))
    expect(suggested.map(({ precision }) => precision)).toEqual(expect.arrayContaining(['int8', 'fp16']))
    for (const { expected_size_bytes } of suggested)
      if (expected_size_bytes !== null) expect(expected_size_bytes).toBeLessThan(860_000)
  })
})
