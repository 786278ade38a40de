import type { ModelProto } from '../codec/schema.ts'
import { externalReference, isExternal } from '../codec/tensor-values.ts'
import { OnnxFault } from '../fault.ts'
import { walkTensors } from '../graph/walk.ts'

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

/**
 * Files the model keeps its weights in, each once, in order of first use.
 * @throws OnnxFault unsafe for a location that is absolute, leaves the folder, or hides behind a backslash or NUL; for an offset or
 *   length that is no whole number
 */
export const externalLocations = (model: ModelProto): string[] => {
  const locations = new Set<string>()
  for (const tensor of walkTensors(model)) {
    if (!isExternal(tensor)) continue
    const { location, offset, size_bytes } = externalReference(tensor)
    const reason = danger(location)
    const where = `Tensor "${tensor.name ?? ''}" keeps its data in ${quote(location)}`
    if (reason) throw new OnnxFault('unsafe', `${where}, which ${reason}; wanted: a file beside the model`)
    for (const number of [offset, size_bytes ?? 0]) {
      if (!Number.isSafeInteger(number) || number < 0)
        throw new OnnxFault('unsafe', `${where} at an offset or length that is no whole number`)
    }
    locations.add(location)
  }
  return [...locations]
}
