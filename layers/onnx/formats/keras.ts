import type { FileWindow } from './file-window.ts'
import { countNames, isRecord, nameSome, type Recognised } from './recognised.ts'
import { readZipEntry, type ZipEntry } from './zip.ts'

const hdf5Magic = Buffer.from('894844460d0a1a0a', 'hex')
export const isHdf5 = (file: FileWindow): boolean => file.upTo(0, 8).equals(hdf5Magic)

/** Keras writes its configuration as attributes near the beginning; their names are plain text there. */
const HEAD_BYTES = 2 ** 20

/** An HDF5 file, with what its first megabyte shows. */
export const describeHdf5 = (file: FileWindow): Recognised => {
  const head = file.upTo(0, Math.min(file.size_bytes, HEAD_BYTES)).toString('latin1')
  const marks = ['keras_version', 'model_config', 'layer_names', 'weight_names', 'backend'].filter((mark) => head.includes(mark))
  const layers = countNames(Array.from(head.matchAll(/"class_name": ?"([A-Za-z]\w{0,60})"/g), ([, name]) => name ?? ''))
  const notes = marks.length > 0 ? [`Keras attributes found: ${nameSome(marks)}`] : ['No Keras attribute in its first megabyte']
  if (marks.includes('layer_names') && !marks.includes('model_config'))
    notes.push('Weights only, without the model that uses them')
  const operators = Object.keys(layers).length > 0 ? { operators: layers } : {}
  return { format: 'keras_h5', framework: 'tensorflow', details: { ...operators, notes } }
}

/** A `.keras` archive (configuration and weights); undefined when it is none. */
export const describeKerasZip = (file: FileWindow, entries: readonly ZipEntry[]): Recognised | undefined => {
  const config = entries.find((entry) => entry.name === 'config.json')
  const weights = entries.find((entry) => entry.name === 'model.weights.h5')
  if (!config || !weights) return undefined
  const layers = layerNames(readZipEntry(file, config))
  return {
    format: 'keras',
    framework: 'tensorflow',
    details: {
      parameter_bytes: weights.size_bytes,
      operators: countNames(layers),
      notes: [`${layers.length} layers, ${entries.length} files`],
    },
  }
}

const layerNames = (config: Buffer | undefined): string[] => {
  let value: unknown
  try {
    value = JSON.parse(config?.toString('utf8') ?? '{}')
  } catch {
    return []
  }
  const inner = isRecord(value) && isRecord(value.config) ? value.config.layers : undefined
  if (!Array.isArray(inner)) return []
  return inner.flatMap((layer: unknown) => (isRecord(layer) && typeof layer.class_name === 'string' ? [layer.class_name] : []))
}
