import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readModel, readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import { isOnnxFault, OnnxFault } from '../../../layers/onnx/fault.ts'
import { walkTensors } from '../../../layers/onnx/graph/walk.ts'
import { inspectFile } from '../../../layers/onnx/inspect/inspect-file.ts'
import { field, tarOf, varint, zipOf } from './archives.ts'
import { realModelPaths } from './real-models.ts'

const scratch = mkdtempSync(join(tmpdir(), 'hostile-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const given = (bytes: Uint8Array): string => {
  const path = join(scratch, 'hostile.onnx')
  writeFileSync(path, bytes)
  return path
}

/** Passes when `work` succeeds or fails with a fault; any other error is a crash and fails the test. */
const onlyFaults = async (work: () => unknown): Promise<void> => {
  try {
    await work()
  } catch (error) {
    if (!isOnnxFault(error)) throw error
  }
}

/** A real model with branches, without its large weights, so that random changes hit structure. */
const structure = (): Uint8Array => {
  const model = readModel(new Uint8Array(readFileSync(realModelPaths().find((path) => path.includes('silero')) ?? '')))
  for (const tensor of walkTensors(model))
    if ((tensor.raw_data?.length ?? 0) > 256) Object.assign(tensor, { raw_data: new Uint8Array(0), dims: [0] })
  return encodeModel(model)
}
const small = new Uint8Array(readFileSync(realModelPaths().find((path) => path.includes('rhasspy')) ?? ''))
const seeds: Record<string, Uint8Array> = {
  onnx: small,
  structure: structure(),
  zip: zipOf([
    { name: 'm/data.pkl', content: Buffer.from('80028a', 'hex') },
    { name: 'm/data/0', content: new Uint8Array(50), deflate: true },
  ]),
  tar: tarOf([{ name: 'saved_model.pb', content: new Uint8Array(100) }]),
  graph: Buffer.concat([
    field(1, Buffer.concat([field(1, 'x'), field(2, 'Placeholder')])),
    field(1, Buffer.concat([field(1, 'y'), field(2, 'MatMul')])),
  ]),
  safetensors: Buffer.concat([
    Buffer.from([60, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}        '),
    new Uint8Array(4),
  ]),
}

const inspect = (bytes: Uint8Array): Promise<unknown> =>
  inspectFile(given(bytes), { framework: 'onnx', file_name: 'hostile.onnx' })

describe('damaged files', () => {
  it.each(Object.keys(seeds))('never crash the reader of %s when bytes are flipped', async (name) => {
    const seed = seeds[name]!
    const flip = fc.record({ at: fc.nat(seed.length - 1), to: fc.nat(255) })
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 6 }), async (flips) => {
        const bytes = Uint8Array.from(seed)
        for (const { at, to } of flips) bytes[at] = to
        await onlyFaults(() => inspect(bytes))
        await onlyFaults(() => encodeModel(readModel(bytes)))
      }),
      { numRuns: name === 'structure' ? 100 : 150, seed: 20261121 },
    )
  })

  it.each(Object.keys(seeds))('never crash the reader of %s when they are cut', async (name) => {
    const seed = seeds[name]!
    await fc.assert(
      fc.asyncProperty(fc.nat(seed.length - 1), async (length) => {
        await onlyFaults(() => inspect(seed.subarray(0, length)))
      }),
      { numRuns: 80, seed: 20261121 },
    )
  })

  it('never crash the reader when they are noise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        await onlyFaults(() => inspect(bytes))
        await onlyFaults(() => readModel(bytes))
        await onlyFaults(() => readModelFile(given(bytes)))
      }),
      { numRuns: 400, seed: 20261121 },
    )
  })

  it('are read alike from memory and from a file', () => {
    const outcome = (read: () => unknown): unknown => {
      try {
        return read()
      } catch (error) {
        return error instanceof OnnxFault ? error.detail : error
      }
    }
    fc.assert(
      fc.property(fc.nat(seeds.structure!.length - 1), fc.nat(255), (at, to) => {
        const bytes = Uint8Array.from(seeds.structure!)
        bytes[at] = to
        expect(outcome(() => readModelFile(given(bytes)))).toEqual(outcome(() => readModel(bytes)))
      }),
      { numRuns: 60, seed: 20261121 },
    )
  })

  it('say at which byte they end', () => {
    for (const length of [20, 1000, 200_000]) {
      expect(() => readModel(small.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'truncated', detail: expect.stringContaining(`ends at byte ${length}`) }),
      )
    }
  })
})

/** `depth` graphs, each in an attribute of a node of the one around it. */
const nested = (depth: number): Uint8Array => {
  const heads: Buffer[] = []
  let inner = 0
  for (let level = 0; level < depth; level++) {
    for (const number of [6, 5, 1]) {
      const head = Buffer.concat([varint((number << 3) | 2), varint(inner)])
      heads.push(head)
      inner += head.length
    }
  }
  heads.push(Buffer.concat([varint((7 << 3) | 2), varint(inner)]))
  return Buffer.concat([Buffer.from([8, 8]), ...heads.reverse()])
}

describe('hostile files', () => {
  it('may nest as deep as the runtime reads, and not deeper', () => {
    expect(readModel(nested(30)).graph?.node.length).toBe(1)
    expect(() => readModel(nested(100_000))).toThrow(
      expect.objectContaining({ code: 'unsupported', detail: expect.stringContaining('deeper than 100') }),
    )
  })

  it('may announce any length', () => {
    const huge = Buffer.concat([Buffer.from([8, 8, 0x3a]), Buffer.from('ffffffffffffffff7f', 'hex')])
    expect(() => readModel(huge)).toThrow(expect.objectContaining({ code: 'not_a_model' }))
    const negative = Buffer.concat([Buffer.from([8, 8, 0x3a]), Buffer.from('ffffffffffffffffff01', 'hex')])
    expect(() => readModel(negative)).toThrow(expect.objectContaining({ code: 'not_a_model' }))
    const endless = Buffer.from('08ffffffffffffffffffffff', 'hex')
    expect(() => readModel(endless)).toThrow(/longer than 10 bytes/)
  })

  it('may not fill the memory with empty messages', () => {
    const flood = Buffer.concat([varint((7 << 3) | 2), varint(3_000_000), Buffer.alloc(3_000_000, Buffer.from([0x0a, 0]))])
    expect(() => readModel(flood)).toThrow(
      expect.objectContaining({ code: 'unsupported', detail: expect.stringContaining('1250000 messages') }),
    )
  })

  it('may not name a value twice without being told', async () => {
    const node = (op: string) => field(1, Buffer.concat([field(1, 'x'), field(2, 'y'), field(4, op)]))
    const graph = Buffer.concat([node('Relu'), node('Neg'), field(11, field(1, 'x')), field(12, field(1, 'y'))])
    await expect(inspect(Buffer.concat([Buffer.from([8, 8]), field(8, Buffer.from([16, 13])), field(7, graph)]))).rejects.toThrow(
      /produced twice/,
    )
  })
})
