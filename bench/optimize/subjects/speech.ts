import { pathToFileURL } from 'node:url'
import * as z from 'zod'
import { seededRandom } from '../../../layers/onnx/evaluate/inputs.ts'
import { dataPackage } from '../data-packages.ts'

/** Speech by eSpeak NG (WebAssembly, formant synthesis), as a microphone would hear it: 16 kHz, with a room's noise. */

export const SAMPLE_HZ = 16_000

const phrases = [
  ...[
    'alexa',
    'hey my croft',
    'hey jarvis',
    'alexa, what time is it',
    'hey jarvis, turn on the light',
    'hey my croft, play a song',
  ],
  ...[
    'good morning everybody',
    'the train leaves at seven',
    'set a timer for ten minutes',
    'what is the weather like',
    'alexander came home',
  ],
  ...[
    'my craft is carpentry',
    'harvest is over',
    'please close the window',
    'a quick brown fox jumps over the lazy dog',
    'call me tomorrow',
  ],
]
const voices = ['en-us', 'en-gb', 'en-gb-scotland', 'en-029']
const UTTERANCES = 96

const Engine = z.object({ FS: z.object({ readFile: z.function({ input: [z.string()], output: z.instanceof(Uint8Array) }) }) })
const Entry = z.object({ default: z.function({ input: [z.unknown()], output: z.promise(Engine) }) })

/** Utterances of different phrases, voices, pitches and speeds; the same for the same seed. −1 … 1. */
export const utterances = async (): Promise<Float32Array[]> => {
  const entry = pathToFileURL(`${await dataPackage('espeak-ng')}/dist/espeak-ng.js`).href
  const { default: start } = Entry.parse(await import(entry))
  const random = seededRandom(16)
  const spoken: Float32Array[] = []
  for (let at = 0; at < UTTERANCES; at += 1) {
    const voice = voices[Math.floor(random() * voices.length)]
    const [pitch, speed] = [20 + Math.floor(random() * 60), 130 + Math.floor(random() * 60)]
    const options = ['-w', 'spoken.wav', '-v', `${voice}`, '-p', `${pitch}`, '-s', `${speed}`]
    const { FS } = await start({
      arguments: [...options, phrases[at % phrases.length]],
      print: () => undefined,
      printErr: () => undefined,
    })
    spoken.push(heard(waveOf(FS.readFile('spoken.wav')), random))
  }
  return spoken
}

/** Samples of a mono 16-bit WAV with the canonical header of 44 bytes, at 16 kHz. */
const waveOf = (file: Uint8Array): Float32Array => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const rate = view.getUint32(24, true)
  const count = Math.floor((file.byteLength - 44) / 2)
  const sample = (at: number): number => (at < count ? view.getInt16(44 + 2 * at, true) / 32_768 : 0)
  return Float32Array.from({ length: Math.floor((count * SAMPLE_HZ) / rate) }, (_, at) => {
    const position = (at * rate) / SAMPLE_HZ
    const before = Math.floor(position)
    return sample(before) + (position - before) * (sample(before + 1) - sample(before))
  })
}

/** A second and a half of quiet before and a second after, another loudness, and noise. */
const heard = (wave: Float32Array, random: () => number): Float32Array => {
  const [loudness, noise] = [0.3 + 0.7 * random(), 0.02 * random()]
  const sound = new Float32Array(2.5 * SAMPLE_HZ + wave.length)
  sound.set(wave, 1.5 * SAMPLE_HZ)
  return sound.map((sample) => loudness * sample + noise * (2 * random() - 1))
}
