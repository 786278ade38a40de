import { createRequire } from 'node:module'
import { createCanvas, GlobalFonts, type SKRSContext2D } from '@napi-rs/canvas'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'

const require = createRequire(import.meta.url)
const fonts = ['DejaVuSans', 'DejaVuSans-Bold', 'DejaVuSerif', 'DejaVuSansMono', 'DejaVuSansCondensed', 'DejaVuSerif-Italic']
for (const font of fonts) GlobalFonts.registerFromPath(require.resolve(`dejavu-fonts-ttf/ttf/${font}.ttf`), font)

export type Random = () => number
const pick = <Item>(random: Random, items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!

const onsets = [
  'b',
  'br',
  'c',
  'ch',
  'd',
  'f',
  'fl',
  'g',
  'gr',
  'h',
  'j',
  'k',
  'l',
  'm',
  'n',
  'p',
  'pl',
  'qu',
  'r',
  's',
  'st',
  't',
  'tr',
  'v',
  'w',
  'z',
]
const vowels = ['a', 'e', 'i', 'o', 'u', 'ai', 'ea', 'oo', 'ou']
const codas = ['', '', 'b', 'ck', 'd', 'ft', 'l', 'ld', 'm', 'n', 'nd', 'ng', 'p', 'r', 'rt', 's', 'st', 't', 'x']

const word = (random: Random): string =>
  Array.from(
    { length: 2 + Math.floor(random() * 2) },
    () => pick(random, onsets) + pick(random, vowels) + pick(random, codas),
  ).join('')
const digits = (random: Random, count: number): string => Array.from({ length: count }, () => Math.floor(random() * 10)).join('')

/** What stands on signs, labels and bills: words as in a sentence, as a name, in capitals, two together, numbers, prices, codes. */
export const labelText = (random: Random): string => {
  const kind = random()
  if (kind < 0.4) return word(random)
  if (kind < 0.6) return word(random).replace(/^./, (first) => first.toUpperCase())
  if (kind < 0.72) return word(random).toUpperCase()
  if (kind < 0.82) return `${word(random).slice(0, 6)} ${word(random).slice(0, 6)}`
  if (kind < 0.9) return digits(random, 4 + Math.floor(random() * 5))
  if (kind < 0.95) return `$${digits(random, 2)}.${digits(random, 2)}`
  return `${word(random).slice(0, 3).toUpperCase()}-${digits(random, 4)}`
}

export interface Picture {
  width: number
  height: number
}

/** Texts differ from set to set: no calibration text is judged. */
export const distinctTexts = (seed: number, count: number, taken: ReadonlySet<string>): string[] => {
  const random = seededRandom(seed)
  const texts = new Set<string>()
  while (texts.size < count) {
    const text = labelText(random)
    if (!taken.has(text)) texts.add(text)
  }
  return [...texts]
}

const grey = (random: Random, from: number, to: number): string => {
  const level = Math.round(from + random() * (to - from))
  return `rgb(${level}, ${Math.round(level * (0.9 + random() * 0.1))}, ${level})`
}

/** Answers where the text ends. */
const write = (context: SKRSContext2D, text: string, at: { x: number; y: number; room: number }, random: Random): number => {
  let size = 22 + Math.floor(random() * 12)
  const font = pick(random, fonts)
  context.font = `${size}px "${font}"`
  for (; context.measureText(text).width > at.room && size > 10; size -= 1) context.font = `${size - 1}px "${font}"`
  context.fillStyle = grey(random, 0, 90)
  context.textBaseline = 'middle'
  context.fillText(text, at.x, at.y)
  return at.x + context.measureText(text).width
}

/** Planes of red, green and blue, −1 … 1, with a camera's noise; beyond `end` nothing, as PaddleOCR pads what it cut out. */
const planes = (
  context: SKRSContext2D,
  { width, height }: Picture,
  { noise, end = width, random }: { noise: number; end?: number; random: Random },
): Float32Array => {
  const { data } = context.getImageData(0, 0, width, height)
  const plane = width * height
  const pixels = new Float32Array(3 * plane)
  for (let at = 0; at < plane; at += 1) {
    const shake = noise * (random() - 0.5)
    if (at % width >= end) continue
    for (let channel = 0; channel < 3; channel += 1)
      pixels[channel * plane + at] = Math.max(-1, Math.min(1, ((data[at * 4 + channel] ?? 0) + shake) / 127.5 - 1))
  }
  return pixels
}

/** One text across a picture, a little crooked, on paper that is not quite white; `upside_down` turns all of it. Where
 * that is asked (true or false) the paper fills the picture, else an end of it would tell the answer. */
export const renderText = (text: string, picture: Picture, random: Random, upside_down?: boolean): Float32Array => {
  const canvas = createCanvas(picture.width, picture.height)
  const context = canvas.getContext('2d')
  if (upside_down) {
    context.translate(picture.width, picture.height)
    context.rotate(Math.PI)
  }
  context.fillStyle = grey(random, 190, 255)
  context.fillRect(0, 0, picture.width, picture.height)
  context.rotate((random() - 0.5) * 0.03)
  const place = { x: 4 + random() * 8, y: picture.height / 2 + (random() - 0.5) * 4, room: picture.width - 20 }
  const end = write(context, text, place, random) + 4 + random() * 8
  return planes(context, picture, upside_down === undefined ? { noise: 40, end, random } : { noise: 40, random })
}

/** A page of lines of text, for the detector. */
export const renderPage = (picture: Picture, random: Random): Float32Array => {
  const context = createCanvas(picture.width, picture.height).getContext('2d')
  context.fillStyle = grey(random, 190, 255)
  context.fillRect(0, 0, picture.width, picture.height)
  for (let y = 25 + random() * 20; y < picture.height - 20; y += 34 + random() * 40)
    write(context, labelText(random), { x: 8 + random() * 60, y, room: picture.width - 80 }, random)
  return planes(context, picture, { noise: 30, random })
}
