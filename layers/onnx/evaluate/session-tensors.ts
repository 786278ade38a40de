import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { type TensorPort, type TensorValue, typedArray } from './tensors.ts'

/** Between onnxruntime's objects and tensors as they travel. */

export const portOf = (metadata: InferenceSession.ValueMetadata): TensorPort =>
  metadata.isTensor
    ? { name: metadata.name, type: metadata.type, shape: [...metadata.shape] }
    : { name: metadata.name, type: undefined, shape: [] }

export function toTensor(value: TensorValue): Tensor {
  if ('texts' in value) return new Tensor('string', value.texts, value.dims)
  const typed = typedArray(value.type, value.bytes)
  // onnxruntime-common 1.30 turns FP16 data into a Float16Array, which the native side reads as nothing; as UINT16 it arrives whole.
  if (value.type === 'float16' && typed instanceof Uint16Array)
    return Object.defineProperty(new Tensor('uint16', typed, value.dims), 'type', { value: 'float16' })
  // The constructor is overloaded per literal type; the type is one of the table `typedArray` checked.
  return Reflect.construct(Tensor, [value.type, typed, value.dims])
}

/** Bytes are a view of the tensor's own. */
export function fromTensor(tensor: Tensor): TensorValue {
  const dims = [...tensor.dims]
  if (tensor.type === 'string') return { type: 'string', dims, texts: [...tensor.data].map(String) }
  const data = tensor.data
  if (!ArrayBuffer.isView(data)) return { type: tensor.type, dims, bytes: new Uint8Array() }
  return { type: tensor.type, dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}
