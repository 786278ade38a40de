import { describe, expect, it } from 'vitest'
import { sizeBytesOf } from '../../../layers/core/domain/size.ts'
import { misspelt } from '../../../layers/core/domain/spelling.ts'
import { membersRead, nothingToTry } from '../../../layers/core/usecases/check-asked.ts'
import { suggestOptimizations } from '../../../layers/core/usecases/suggest-optimizations.ts'
import { onnxInspector } from '../../../layers/inspector/onnx.ts'
import { optimizers } from '../../../layers/optimizers/index.ts'
import { realModel } from '../../support/optimization-lab.ts'

const path = realModel('alexa_v0.1.onnx')
const inspection = await onnxInspector().inspect(path, { framework: 'onnx', file_name: 'alexa.onnx' })

describe('members of metadata', () => {
  it('that any row reads are all known by name', () => {
    const known = membersRead(optimizers)
    const read = new Set<string>()
    const metadata = new Proxy(
      {},
      {
        get: (_, name) => {
          if (typeof name === 'string') read.add(name)
          return undefined
        },
      },
    )
    for (const { suits } of optimizers)
      suits(inspection, { metadata, target_size_bytes: 1, target_latency_ms: 1, has_data: true })
    read.delete('constructor')
    expect([...read].filter((name) => !known.includes(name))).toEqual([])
    expect([...read]).toEqual(expect.arrayContaining(['per_channel', 'structure', 'student', 'nodes_to_exclude', 'budget_s']))
  })

  it('are told from slips of the pen, and names of one’s own from both', () => {
    const known = membersRead(optimizers)
    expect(misspelt('per_chanel', known)).toBe('per_channel')
    expect(misspelt('nodes_to_exlude', known)).toBe('nodes_to_exclude')
    for (const own of [...known, 'owner', 'team', 'note', 'ticket', 'run_id', 'asked_by'])
      expect(misspelt(own, known)).toBeUndefined()
  })
})

it('says what rows have against a model once for all that say the same', () => {
  const left_out = [
    { optimizer: 'a', reason: 'No products' },
    { optimizer: 'b', reason: 'No products' },
    { optimizer: 'c', reason: 'Text' },
  ]
  expect(nothingToTry(left_out)).toBe('No candidate can be tried. a, b: No products; c: Text')
})

it('takes sizes that a file can have', () => {
  expect(['1B', '0.5 kB', '1.5GiB'].map(sizeBytesOf)).toEqual([1, 500, 1_610_612_736])
  expect(['0MB', '0.1B', '99999999999999999999GB', 'ten'].map(sizeBytesOf)).toEqual([undefined, undefined, undefined, undefined])
})

it('suggests four bits with the size of four bits', () => {
  const suggested = suggestOptimizations(optimizers, { framework: 'onnx', inspection })
  const sizeOf = (wanted: string) => suggested.find(({ precision }) => precision === wanted)?.expected_size_bytes ?? Number.NaN
  expect(sizeOf('int4')).toBeLessThan(0.75 * sizeOf('int8'))
})
