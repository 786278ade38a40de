import { InferenceSession, Tensor } from 'onnxruntime-node'
import { toTensors, withOutputs } from '../calibrate/tap.ts'
import type { ModelProto } from '../codec/schema.ts'
import { encodeModel } from '../codec/write-model.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { dropUnused } from '../graph/edit.ts'
import { mainGraph } from '../graph/walk.ts'
import type { FloatValue } from './rows.ts'

/** Part of a model up to some of its values. */
export interface Truncated {
  run(feeds: Feeds): Promise<Map<string, FloatValue>>
  release(): Promise<void>
}

const floatOf = (name: string, tensor: unknown): FloatValue => {
  if (tensor instanceof Tensor && tensor.data instanceof Float32Array) return { values: tensor.data, dims: tensor.dims }
  throw new OnnxFault('unsupported', `Value "${name}" is no tensor of floats`)
}

/**
 * Opens a model up to these values, all else left out; inputs of the graph may be among them. Runs in this process, which for foreign
 * models must be one that may die.
 * @throws OnnxFault unsupported when a value is not float32
 */
export async function openTruncated(model: ModelProto, names: readonly string[]): Promise<Truncated> {
  const given = new Set(mainGraph(model).input.map(({ name }) => name ?? ''))
  const part = withOutputs(
    model,
    names.filter((name) => !given.has(name)),
  )
  dropUnused(part)
  const session = await InferenceSession.create(encodeModel(part), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session: { disable_prepacking: '1' } },
  })
  return {
    async run(feeds) {
      const tensors = toTensors(feeds)
      const needed = Object.fromEntries(
        session.inputNames
          .map((name) => [name, tensors[name]])
          .flatMap(([name, tensor]) => (typeof name === 'string' && tensor instanceof Tensor ? [[name, tensor]] : [])),
      )
      const answer = await session.run(needed)
      return new Map(names.map((name) => [name, floatOf(name, answer[name] ?? tensors[name])]))
    },
    release: () => session.release(),
  }
}
