import { closeSync, fsyncSync, openSync } from 'node:fs'
import { OnnxFault } from '../fault.ts'
import { measureMessage, startSizes } from './measure-message.ts'
import { MAX_MODEL_BYTES } from './read-model.ts'
import type { MessageName, Messages, ModelProto } from './schema.ts'
import { fileSink, memorySink } from './sink.ts'
import { type LooseMessage, tables } from './tables.ts'
import { writeMessage } from './write-message.ts'

const measure = (name: MessageName, message: LooseMessage): { size_bytes: number; sizes: ReturnType<typeof startSizes> } => {
  const sizes = startSizes()
  const size_bytes = measureMessage(tables[name]!, message, sizes)
  if (size_bytes > MAX_MODEL_BYTES) {
    throw new OnnxFault(
      'unsupported',
      `The model would take ${size_bytes} bytes; protobuf ends at ${MAX_MODEL_BYTES}: use external data`,
    )
  }
  return { size_bytes, sizes }
}

const loose = <M extends MessageName>(message: Messages[M]): LooseMessage => ({ ...message })

/** Any message of the table as protobuf bytes. */
export const encodeProto = <M extends MessageName>(name: M, message: Messages[M]): Uint8Array<ArrayBuffer> => {
  const { size_bytes, sizes } = measure(name, loose(message))
  const sink = memorySink(size_bytes)
  writeMessage(sink, tables[name]!, loose(message), sizes)
  return sink.finish()
}

/** A model as protobuf bytes. @throws OnnxFault unsupported beyond 2 GiB */
export const encodeModel = (model: ModelProto): Uint8Array<ArrayBuffer> => encodeProto('ModelProto', model)

/** Bytes the model takes when written. @throws OnnxFault unsupported beyond 2 GiB */
export const modelSize = (model: ModelProto): number => measure('ModelProto', loose(model)).size_bytes

/** Bytes the model would take in one file, also when that is more than a protobuf holds. */
export const modelBytes = (model: ModelProto): number => measureMessage(tables.ModelProto!, loose(model), startSizes())

/**
 * Writes a model to a new file without a second copy of its weights; with `flush` it is on the disk when this returns.
 * Answers its size in bytes.
 */
export const writeModelFile = (model: ModelProto, path: string, options: { flush?: boolean } = {}): number => {
  const { size_bytes, sizes } = measure('ModelProto', loose(model))
  const fd = openSync(path, 'w')
  try {
    const sink = fileSink(fd)
    writeMessage(sink, tables.ModelProto!, loose(model), sizes)
    sink.finish()
    if (options.flush) fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  return size_bytes
}
