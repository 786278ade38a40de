import { checkedReference } from '../codec/external-data.ts'
import type { ModelProto } from '../codec/schema.ts'
import { isExternal } from '../codec/tensor-values.ts'
import { walkTensors } from '../graph/walk.ts'

/**
 * Files the model keeps its weights in, each once, in order of first use.
 * @throws OnnxFault unsafe for a location that is absolute, leaves the folder, or hides behind a backslash or NUL; for an offset or
 *   length that is no whole number
 */
export const externalLocations = (model: ModelProto): string[] => {
  const locations = new Set<string>()
  for (const tensor of walkTensors(model)) if (isExternal(tensor)) locations.add(checkedReference(tensor).location)
  return [...locations]
}
