import { denseModel } from './models.ts'

/** A valid ONNX file of any size up to 2 GiB: a small dense model and one more, unused weight of zeros, which is never held in memory. */
export function* largeModel(weight_bytes: number): Generator<Uint8Array> {
  const { before, graph, after } = splitAtGraph(denseModel([8, 16, 4]))
  // TensorProto: dims = 1, data_type = 2 (1 is FLOAT), name = 8, raw_data = 9.
  const tensor = Buffer.concat([
    tagged(1, 0),
    varint(weight_bytes / 4),
    tagged(2, 0),
    varint(1),
    lengthed(8, Buffer.from('ballast')),
    tagged(9, 2),
    varint(weight_bytes),
  ])
  // GraphProto: initializer = 5. ModelProto: graph = 7.
  const initializer = Buffer.concat([tagged(5, 2), varint(tensor.length + weight_bytes), tensor])
  yield Buffer.concat([before, tagged(7, 2), varint(graph.length + initializer.length + weight_bytes), graph, initializer])
  const zeros = Buffer.alloc(1 << 20)
  for (let left = weight_bytes; left > 0; left -= zeros.length) yield left >= zeros.length ? zeros : zeros.subarray(0, left)
  yield after
}

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  let left = BigInt(value)
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  return Buffer.from([...bytes, Number(left)])
}
const tagged = (number: number, wire: number): Buffer => varint(number * 8 + wire)
const lengthed = (number: number, bytes: Uint8Array): Buffer => Buffer.concat([tagged(number, 2), varint(bytes.length), bytes])

/** The top-level fields around the graph, and the graph's own bytes. */
function splitAtGraph(model: Uint8Array) {
  const others: Uint8Array[] = []
  let graph: Uint8Array = new Uint8Array()
  let before = 0
  for (let at = 0; at < model.length; ) {
    const start = at
    const next = (): number => {
      let value = 0
      for (let shift = 1; ; shift *= 128) {
        const byte = model[at++] ?? 0
        value += (byte & 127) * shift
        if (byte < 128) return value
      }
    }
    const tag = next()
    const length = next()
    const content = at
    if (tag % 8 === 2) at += length
    if (tag === 7 * 8 + 2) {
      graph = model.subarray(content, at)
      before = others.length
    } else others.push(model.subarray(start, at))
  }
  return { before: Buffer.concat(others.slice(0, before)), graph, after: Buffer.concat(others.slice(before)) }
}
