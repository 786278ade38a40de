import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../layers/core/domain/json.ts'
import type { Optimizer } from '../../../layers/core/ports/optimizer.ts'
import { inspectOnnx } from '../../../layers/onnx/inspect/inspect-onnx.ts'
import { blockWeights } from '../../../layers/optimizers/block-weights.ts'
import { dynamicInt8 } from '../../../layers/optimizers/dynamic-int8.ts'
import { halfPrecision } from '../../../layers/optimizers/half-precision.ts'
import { int8Weights } from '../../../layers/optimizers/int8-weights.ts'
import { realModelPaths } from '../onnx/real-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'expected-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const forms: [Optimizer, JsonObject][] = [
  [dynamicInt8, { weight_type: 'u8', conv: 'none', gather: true }],
  [dynamicInt8, { weight_type: 'u8', conv: 'dense', gather: true, rest_as_halves: true }],
  [dynamicInt8, { weight_type: 'u8', conv: 'all', gather: true }],
  [int8Weights, { ordered: false }],
  [halfPrecision, { weights_only: true }],
  [blockWeights, { bits: 8, block_size: 32, algorithm: 'rtn' }],
  [blockWeights, { bits: 4, block_size: 128, algorithm: 'rtn' }],
]

let compared = 0

describe('the expected size', () => {
  it.each(realModelPaths())('of every form of %s is that of the file within 3 %', async (model_path) => {
    const summary = inspectOnnx(model_path)
    const off: string[] = []
    for (const [optimizer, settings] of forms) {
      const expected = optimizer.expects?.(summary, settings).size_bytes
      if (expected === null || expected === undefined) continue
      const candidate_path = join(folder, `${basename(model_path)}-${optimizer.name}.onnx`)
      try {
        await optimizer.apply({ model_path, candidate_path, settings, calibration_path: null })
      } catch (error) {
        // A form that this model has nothing for.
        expect(String(error)).toMatch(/No weight could|stores no float weights/)
        continue
      }
      compared++
      const { size } = statSync(candidate_path)
      const error_percent = (100 * (expected - size)) / size
      if (Math.abs(error_percent) > 3)
        off.push(`${optimizer.name} ${JSON.stringify(settings)}: ${expected}, is ${size} (${error_percent.toFixed(1)} %)`)
    }
    expect(off).toEqual([])
  })

  it('is answered for most forms of most models', () => {
    expect(compared).toBeGreaterThan(40)
  })
})
