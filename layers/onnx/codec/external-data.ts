import { lstatSync, realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { OnnxFault } from '../fault.ts'
import { walkTensors } from '../graph/walk.ts'
import type { ModelProto, TensorProto } from './schema.ts'
import { externalReference, isExternal, tensorSize } from './tensor-values.ts'

const quote = (location: string): string => JSON.stringify(location.length > 200 ? `${location.slice(0, 200)}…` : location)

/** Why a location must not be opened; undefined for a plain relative path. */
const danger = (location: string): string | undefined => {
  if (location === '') return 'is empty'
  if (location.includes('\0')) return 'contains a NUL character'
  if (location.includes('\\')) return 'contains a backslash'
  if (location.startsWith('/') || /^[a-z]:/i.test(location)) return 'is absolute'
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(location)) return 'is a URL'
  if (location.split('/').includes('..')) return 'leaves the folder of the model'
  return undefined
}

const whereOf = (tensor: TensorProto): string =>
  `Tensor "${tensor.name ?? ''}" keeps its data in ${quote(externalReference(tensor).location)}`

/**
 * Where a tensor says its bytes are, once that is harmless to look at.
 * @throws OnnxFault unsafe for a location that is absolute, leaves the folder, or hides behind a backslash or NUL; for an offset or
 *   length that is no whole number
 */
export const checkedReference = (tensor: TensorProto): { location: string; offset: number; size_bytes: number | undefined } => {
  const reference = externalReference(tensor)
  const reason = danger(reference.location)
  if (reason) throw new OnnxFault('unsafe', `${whereOf(tensor)}, which ${reason}; wanted: a file beside the model`)
  for (const number of [reference.offset, reference.size_bytes ?? 0]) {
    if (!Number.isSafeInteger(number) || number < 0)
      throw new OnnxFault('unsafe', `${whereOf(tensor)} at an offset or length that is no whole number`)
  }
  return reference
}

/** Size of a file that belongs to the model alone: a link, hard or symbolic, may be somebody else's file. */
const sizeOfOwnFile = (folder: string, tensor: TensorProto, location: string): number => {
  const refuse = (what: string): never => {
    throw new OnnxFault('unsafe', `${whereOf(tensor)}, which ${what}; wanted: a file of its own beside the model`)
  }
  const path = join(folder, location)
  const facts = lstatSync(path, { throwIfNoEntry: false })
  if (!facts) throw new OnnxFault('external_data_missing', `${whereOf(tensor)}, which is not beside the model`)
  if (!facts.isFile()) return refuse(facts.isSymbolicLink() ? 'is a symbolic link' : 'is no file')
  if (facts.nlink > 1) return refuse(`has ${facts.nlink} names`)
  // The folders on the way may be links too.
  if (
    relative(realpathSync(folder), realpathSync(dirname(path)))
      .split('/')
      .includes('..')
  )
    refuse('leaves the folder of the model')
  return facts.size
}

/**
 * Makes weights that lie in files beside the model part of it: each such tensor then points at its bytes as if `readModelFile` had
 * left them in the file. Nothing is read yet, so a model of any size takes no memory. Changes `model`.
 *
 * @throws OnnxFault unsafe, external_data_missing; truncated where a file ends before the tensor; not_a_model where the length is not
 *   what shape and type take
 */
export const attachExternalData = (model: ModelProto, folder: string): void => {
  const sizes = new Map<string, number>()
  for (const tensor of walkTensors(model)) {
    if (!isExternal(tensor)) continue
    const { location, offset, size_bytes } = checkedReference(tensor)
    const file_bytes = sizes.get(location) ?? sizeOfOwnFile(folder, tensor, location)
    sizes.set(location, file_bytes)
    const wanted_bytes = tensorSize(tensor)
    if (size_bytes !== undefined && size_bytes !== wanted_bytes)
      throw new OnnxFault('not_a_model', `${whereOf(tensor)}, ${size_bytes} bytes of it, but its shape takes ${wanted_bytes}`)
    if (offset + wanted_bytes > file_bytes)
      throw new OnnxFault(
        'truncated',
        `${whereOf(tensor)} up to byte ${offset + wanted_bytes}, but that file ends at ${file_bytes}`,
      )
    tensor.ranges = { raw_data: { path: join(folder, location), offset, size_bytes: wanted_bytes } }
    tensor.external_data = []
    delete tensor.data_location
  }
}

/**
 * Refuses a model that keeps weights in other files, before anything that would open them for it sees its path: the runtime follows
 * hard links and reads any neighbour of the model, and resolves names against the working folder when it gets bytes.
 * @throws OnnxFault unsafe or external_data_missing, naming the tensor
 */
export const refuseExternalData = (model: ModelProto): void => {
  for (const tensor of walkTensors(model)) {
    if (!isExternal(tensor)) continue
    checkedReference(tensor)
    throw new OnnxFault(
      'external_data_missing',
      `${whereOf(tensor)}; wanted: one file that holds everything (save with external data off)`,
    )
  }
}
