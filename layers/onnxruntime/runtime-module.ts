import { createRequire } from 'node:module'
import type * as Runtime from 'onnxruntime-node'

/**
 * Takes the place of `onnxruntime-node` in every bundle: the package is native and lies in the Lambda Layer, where an ES module finds
 * nothing by name (`NODE_PATH` is not honoured, and model processes run with an empty environment anyway). First `node_modules` beside
 * the bundle or above it, as in a container or a processing job, then the layer's folder.
 */

/** `/opt/nodejs/`; put in by `bin/build.ts`. */
declare const ONNXRUNTIME_LAYER: string

const isAbsent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND'

const load = (): typeof Runtime => {
  const places = [import.meta.url, ONNXRUNTIME_LAYER]
  for (const place of places) {
    try {
      return createRequire(place)('onnxruntime-node')
    } catch (error) {
      if (!isAbsent(error)) throw error
    }
  }
  throw new Error(`onnxruntime-node is neither beside ${places.join(' nor below ')}: is the onnxruntime layer attached?`)
}

export const { InferenceSession, Tensor } = load()
