/**
 * An optimizer of one's own: start the platform with `AIDEPLOY_EXTENSIONS=./examples/custom-optimizer.ts` and ask for
 * `POST /models/{id}/optimize {"method": "custom", "metadata": {"keep": ["name of an output to leave alone"]}}`.
 * The platform runs `apply` in a process of its own with limits, measures the result against the original and publishes it only when
 * it is faithful and worth having.
 */
import * as z from 'zod'
import { defineOptimizer } from '../layers/core/ports/optimizer.ts'
import { loadModel } from '../layers/onnx/codec/read-model.ts'
import { writeModelFile } from '../layers/onnx/codec/write-model.ts'
import { quantizeDynamic } from '../layers/onnx/quantize/dynamic-int8.ts'

const Settings = z.strictObject({ keep: z.array(z.string()) })

export const optimizers = [
  defineOptimizer({
    name: 'int8-but',
    method: 'custom',
    summary: 'int8 products, except those whose outputs the caller names',
    settings: Settings,
    reads: ['keep'],
    suits(summary, asked) {
      if (summary.format !== 'onnx') return `Wanted an ONNX model, got ${summary.format}`
      const keep = Settings.shape.keep.default([]).safeParse(asked.metadata.keep)
      return keep.success ? [{ keep: keep.data }] : 'metadata.keep is not usable: wanted a list of names'
    },
    async apply({ model_path, candidate_path, settings }) {
      const { keep } = Settings.parse(settings)
      const model = loadModel(model_path)
      const { quantized } = quantizeDynamic(model, { weight_type: 'u8', conv: 'none', gather: true, exclude: new Set(keep) })
      writeModelFile(model, candidate_path)
      return { notes: [`int8: ${JSON.stringify(quantized)}`] }
    },
  }),
]
