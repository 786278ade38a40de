import { dataTypeFacts } from '../codec/data-types.ts'
import type { ModelProto } from '../codec/schema.ts'
import { generatedRow, inputPlans } from '../evaluate/inputs.ts'
import { ArrayFault } from '../evaluate/npy.ts'
import { readArrays } from '../evaluate/npz.ts'
import { type Feeds, sameShape, type TensorPort, type TensorValue } from '../evaluate/tensors.ts'
import { OnnxFault } from '../fault.ts'
import { mainGraph } from '../graph/walk.ts'
import { type Column, columnOf, inputColumns, labelColumn, type TrainingData, trainingData } from '../train/data.ts'
import { LABELS } from '../train/losses.ts'
import { startPredictor } from '../train/predict.ts'
import type { SampleSource } from './job.ts'

/** Names an array of labels usually has. */
const labelNames = ['labels', 'label', 'targets', 'y']

/** Inputs that are no stored weights, with their declared types and shapes. */
const portsOf = (model: ModelProto): TensorPort[] => {
  const graph = mainGraph(model)
  const stored = new Set(graph.initializer.map((tensor) => tensor.name ?? ''))
  return graph.input
    .filter((input) => !stored.has(input.name ?? ''))
    .map((input) => ({
      name: input.name ?? '',
      type: runtimeType(input.type?.tensor_type?.elem_type ?? 0),
      shape: (input.type?.tensor_type?.shape?.dim ?? []).map((dim) => dim.dim_value ?? dim.dim_param ?? ''),
    }))
}

const runtimeType = (data_type: number): string | undefined => {
  const name = dataTypeFacts(data_type)?.name.toLowerCase()
  return name === 'float' ? 'float32' : name === 'double' ? 'float64' : name
}

/** The samples of an .npz, feeds as they are, or as many rows made up as asked; labels, where there are any, under `LABELS`. Fails with ArrayFault. */
export const samplesFor = async (model: ModelProto, source: SampleSource, seed: number, value: string): Promise<TrainingData> => {
  const ports = portsOf(model)
  if ('generated_rows' in source) return generatedSamples(model, ports, source.generated_rows, seed, value)
  if ('rows' in source) return suppliedSamples(ports, source)
  const arrays = readArrays(source.arrays_path)
  const inputs = ports.map(({ name }) => name)
  const labels = source.labels ?? labelNames.find((name) => Object.hasOwn(arrays, name) && !inputs.includes(name))
  const columns: Record<string, Column> = inputColumns(arrays, inputs, labels)
  if (labels === undefined) return trainingData(columns)
  const array = arrays[labels]
  if (!array) throw new ArrayFault(`The data have no array of labels ${labels}; got ${Object.keys(arrays).join(', ')}`)
  return trainingData({ ...columns, [LABELS]: labelColumn(labels, array) })
}

/** Feeds of one sample each, all of one shape. */
const suppliedSamples = (
  ports: readonly TensorPort[],
  { rows, classes }: { rows: readonly Feeds[]; classes?: readonly number[] | undefined },
): TrainingData => {
  const columns = Object.fromEntries(
    ports.map(({ name }): [string, Column] => [
      name,
      stacked(
        name,
        rows.map((row, at) => {
          const value = Object.hasOwn(row, name) ? row[name] : undefined
          if (!value) throw new ArrayFault(`Row ${at} has nothing for input ${name}`)
          return value
        }),
      ),
    ]),
  )
  if (classes === undefined) return trainingData(columns)
  const labels = BigInt64Array.from(classes, BigInt)
  const bytes = new Uint8Array(labels.buffer)
  return trainingData({ ...columns, [LABELS]: labelColumn('labels', { type: 'int64', dims: [labels.length], bytes }) })
}

/** The first plan of free dimensions that the model accepts. */
const generatedSamples = async (
  model: ModelProto,
  ports: readonly TensorPort[],
  rows: number,
  seed: number,
  value: string,
): Promise<TrainingData> => {
  let refused: unknown
  for (const plan of inputPlans(ports)) {
    const made = (count: number): TrainingData => {
      const feeds = Array.from({ length: count }, (_, row) => generatedRow(ports, plan, seed + row))
      return trainingData(
        Object.fromEntries(
          ports.map(({ name }) => [
            name,
            stacked(
              name,
              feeds.map((feed) => feed[name]!),
            ),
          ]),
        ),
      )
    }
    try {
      const predictor = await startPredictor(model, value, made(1), { batch: 1, threads: 1 })
      await predictor.release()
      return made(rows)
    } catch (error) {
      refused = error
    }
  }
  throw new OnnxFault('unsupported', 'No generated input runs; supply training data', refused)
}

const stacked = (name: string, values: readonly TensorValue[]): Column => {
  const first = values[0]!
  if ('texts' in first) throw new ArrayFault(`Input ${name} takes texts, which cannot be trained on`)
  const bytes = new Uint8Array(first.bytes.length * values.length)
  for (const [at, value] of values.entries()) {
    if (!sameShape(first, value) || 'texts' in value)
      throw new ArrayFault(
        `Row ${at} of input ${name} has shape [${value.dims}], row 0 [${first.dims}]; training wants one shape`,
      )
    bytes.set(value.bytes, at * first.bytes.length)
  }
  return columnOf(name, { type: first.type, dims: [values.length, ...first.dims.slice(1)], bytes })
}
