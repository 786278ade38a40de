import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readModelFile } from '../../../layers/onnx/codec/read-model.ts'
import { externalReference, isExternal } from '../../../layers/onnx/codec/tensor-values.ts'
import { encodeModel, writeModelFile } from '../../../layers/onnx/codec/write-model.ts'
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo, tensorAttr } from '../../../layers/onnx/graph/build.ts'
import { mainGraph } from '../../../layers/onnx/graph/walk.ts'
import { writeServingForm } from '../../../layers/onnx/serving-form.ts'
import { fileName, realModelPaths, runModel } from './real-models.ts'

const scratch = mkdtempSync(join(tmpdir(), 'serving-form-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe('the serving form', () => {
  it.each(realModelPaths())('of %s computes identical outputs from page-aligned weights beside a small graph', async (path) => {
    const form = await writeServingForm(path, join(scratch, fileName(path)))
    expect(form.files.map(fileName)).toEqual(['model.onnx', 'weights.bin'])
    const external = mainGraph(readModelFile(form.model_path)).initializer.filter(isExternal)
    expect(external.length).toBeGreaterThan(0)
    const references = external.map(externalReference)
    expect(references.every(({ location, offset }) => location === 'weights.bin' && offset % 4096 === 0)).toBe(true)
    const moved_bytes = references.reduce((sum, reference) => sum + (reference.size_bytes ?? 0), 0)
    expect(readFileSync(form.model_path).length).toBeLessThanOrEqual(
      readFileSync(path).length - moved_bytes + references.length * 120,
    )
    expect(await runModel(form.model_path, fileName(path))).toEqual(await runModel(path, fileName(path)))
  })

  it('moves weights that are stored as numbers and as constants, and keeps what is also an output', async () => {
    const values = Float32Array.from({ length: 600 }, (_, index) => index / 7)
    const typed = { ...makeTensor('w', [600], values), raw_data: undefined, float_data: values }
    const graph = makeGraph({
      nodes: [
        makeNode('Constant', [], ['c'], { attributes: [tensorAttr('value', makeTensor('', [600], values))] }),
        makeNode('Constant', [], ['kept'], { attributes: [tensorAttr('value', makeTensor('', [600], values))] }),
        makeNode('Add', ['w', 'c'], ['sum']),
        makeNode('Add', ['sum', 'x'], ['y']),
      ],
      inputs: [makeValueInfo('x', 1, [1])],
      outputs: [makeValueInfo('y', 1, [600]), makeValueInfo('kept', 1, [600])],
      initializers: [typed],
    })
    const path = join(scratch, 'typed.onnx')
    writeModelFile(makeModel(graph), path)
    const form = await writeServingForm(path, join(scratch, 'typed'))
    expect(
      mainGraph(readModelFile(form.model_path))
        .initializer.filter(isExternal)
        .map((tensor) => tensor.name),
    ).toEqual(['w', 'c'])
    expect(await runModel(form.model_path, 'typed')).toEqual(await runModel(path, 'typed'))
  })

  it('is written by another process, whose failures with the disk keep their code', async () => {
    const [path = ''] = realModelPaths()
    const out = join(scratch, 'apart')
    const pending = writeServingForm(path, out)
    expect(existsSync(join(out, 'weights.bin'))).toBe(false)
    const { files } = await pending
    expect(files.every((file) => existsSync(file))).toBe(true)
    await expect(writeServingForm(path, join(files[0] ?? '', 'below-a-file'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    await expect(writeServingForm(join(scratch, 'none.onnx'), out)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('refuses a model whose weights are in other files, and one the runtime does not load, and leaves nothing behind', async () => {
    const graph = (op: string, input: string) =>
      makeGraph({
        nodes: [makeNode(op, [input], ['y'])],
        inputs: [makeValueInfo('x', 1, [1])],
        outputs: [makeValueInfo('y', 1, [1])],
      })
    const broken = join(scratch, 'broken.onnx')
    writeFileSync(broken, encodeModel(makeModel(graph('NoSuchOperator', 'x'))))
    await expect(writeServingForm(broken, join(scratch, 'broken'))).rejects.toMatchObject({
      code: 'unsupported',
      detail: expect.stringContaining('NoSuchOperator'),
    })
    expect(readdirSync(join(scratch, 'broken'))).toEqual([])
    const external = graph('Relu', 'w')
    external.initializer.push({
      ...makeTensor('w', [1], new Float32Array(0)),
      data_location: 1,
      external_data: [{ key: 'location', value: 'w.bin' }],
    })
    const elsewhere = join(scratch, 'external.onnx')
    writeFileSync(elsewhere, encodeModel(makeModel(external)))
    await expect(writeServingForm(elsewhere, join(scratch, 'external'))).rejects.toMatchObject({ code: 'external_data_missing' })
  })
})
