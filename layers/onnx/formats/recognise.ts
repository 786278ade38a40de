import { OnnxFault } from '../fault.ts'
import { type FileWindow, withFileWindow } from './file-window.ts'
import { describeHdf5, describeKerasZip, isHdf5 } from './keras.ts'
import { wireFields } from './protobuf-fields.ts'
import { describeLegacyTorch, describeTorchZip, isLegacyTorch } from './pytorch.ts'
import { nameSome, type Recognised } from './recognised.ts'
import { describeSafetensors, isSafetensors } from './safetensors.ts'
import { isTar, tarEntries } from './tar.ts'
import { describeSavedModelArchive, describeTensorflow } from './tensorflow.ts'
import { describeTflite, isTflite } from './tflite.ts'
import { zipEntries } from './zip.ts'

/** Field number/wire type of `ModelProto`, top level. */
const modelFields: ReadonlySet<string> = new Set('1/0 2/2 3/2 4/2 5/0 6/2 7/2 8/2 14/2 20/2 25/2 26/2'.split(' '))
const MAX_FIELDS = 100_000

/** Top-level fields are those of an ONNX model: a graph, or at least an IR version first. */
const looksLikeOnnx = (file: FileWindow): boolean => {
  let seen = 0
  let known = 0
  let graph = false
  let version = false
  for (const field of wireFields(file, 0, file.size_bytes)) {
    const name = `${field.number}/${field.wire}`
    seen++
    if (modelFields.has(name)) known++
    if (name === '7/2') graph = true
    if (seen === 1 && name === '1/0' && field.value > 0 && field.value < 1000) version = true
    if (seen >= MAX_FIELDS) break
  }
  return version ? known * 2 > seen : graph && known === seen
}

const hex = (bytes: Buffer): string => bytes.toString('hex').replace(/(..)(?=.)/g, '$1 ')

const describeZip = (file: FileWindow): Recognised => {
  const entries = zipEntries(file)
  const found = describeTorchZip(file, entries) ?? describeSavedModelArchive(entries) ?? describeKerasZip(file, entries)
  if (found) return found
  const onnx = entries.find((entry) => entry.name.endsWith('.onnx'))
  const hint = onnx ? `; upload ${JSON.stringify(onnx.name.slice(0, 200))} itself` : ''
  throw new OnnxFault(
    'not_a_model',
    `The zip archive holds no model this platform knows (${nameSome(entries.map((entry) => entry.name))})${hint}`,
  )
}

const describeTar = (file: FileWindow): Recognised => {
  const entries = tarEntries(file)
  const found = describeSavedModelArchive(entries)
  if (found) return found
  throw new OnnxFault('not_a_model', `The tar archive holds no saved_model.pb (${nameSome(entries.map((entry) => entry.name))})`)
}

/** Formats told apart by their first bytes, before protobuf, which has none. */
const byMagic: readonly (readonly [applies: (file: FileWindow) => boolean, describe: (file: FileWindow) => Recognised])[] = [
  [(file) => file.upTo(0, 4).toString('latin1') === 'PK\x03\x04', describeZip],
  [isTflite, describeTflite],
  [isHdf5, describeHdf5],
  [isLegacyTorch, describeLegacyTorch],
  [isSafetensors, describeSafetensors],
  [isTar, describeTar],
]

/**
 * Tells what a file is by its content, never by its name, and describes it as far as that goes without running or unpacking it.
 * @throws OnnxFault empty; not_a_model for unknown content; truncated; unsafe (archives that would harm whoever unpacks them)
 */
export const recognise = (path: string): Recognised =>
  withFileWindow(path, (file) => {
    if (file.size_bytes === 0) throw new OnnxFault('empty', 'The file is empty (0 bytes)')
    const known = byMagic.find(([applies]) => applies(file))
    if (known) return describe(file, known[1])
    const tensorflow = describeTensorflow(file)
    if (tensorflow) return tensorflow
    if (looksLikeOnnx(file)) return { format: 'onnx', framework: 'onnx', details: {} }
    throw new OnnxFault(
      'not_a_model',
      `${whatItIs(file)}; known are ONNX, PyTorch, TensorFlow, Keras, TFLite and safetensors files`,
    )
  })

/** A directory or header that points outside of itself shows as a RangeError of the buffer it is read from. */
const describe = (file: FileWindow, read: (file: FileWindow) => Recognised): Recognised => {
  try {
    return read(file)
  } catch (error) {
    if (error instanceof RangeError)
      throw new OnnxFault('not_a_model', 'The file is damaged: a part of its header points outside of it', error)
    throw error
  }
}

const whatItIs = (file: FileWindow): string => {
  const head = file.upTo(0, 16)
  if (head[0] === 0x1f && head[1] === 0x8b) return 'The file is compressed with gzip: upload what is in it'
  if (head[0] === 0x80 && (head[1] ?? 0) <= 5) return 'The file is a plain Python pickle, which is never loaded'
  if (/^\s*[<{[]/.test(head.toString('latin1'))) return 'The file is text (JSON or markup)'
  return `The file begins with ${hex(head.subarray(0, 8))}, which is no model format`
}
