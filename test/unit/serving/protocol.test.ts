import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HttpServer } from '../../../layers/serving/http-server.ts'
import { type ElementType, identityModel, twoInputModel } from '../../support/models.ts'
import { binaryRequest, post, servers } from '../../support/serving.ts'

const all = servers()
const name = 'my möd/el 1'
let two: HttpServer
let model: string
beforeAll(async () => {
  two = await all.serve(name, twoInputModel(), { version: '7' })
  model = `${two.url}/v2/models/${encodeURIComponent(name)}`
})
afterAll(() => all.close())

const get = async (url: string) => {
  const reply = await fetch(url)
  return { status: reply.status, json: await reply.json() }
}
const tensor = (tensor_name: string, data: unknown, shape = [1, 2]) => ({ name: tensor_name, shape, datatype: 'FP32', data })

describe('open inference protocol over HTTP', () => {
  test('server metadata, health, model metadata and readiness', async () => {
    expect(await get(`${two.url}/v2`)).toEqual({
      status: 200,
      json: { name: 'ai-deploy-serving', version: '1', extensions: ['binary_tensor_data'] },
    })
    expect(await get(`${two.url}/v2/health/live`)).toEqual({ status: 200, json: { live: true } })
    expect(await get(`${two.url}/v2/health/ready`)).toEqual({ status: 200, json: { ready: true } })
    const metadata = {
      name,
      versions: ['7'],
      platform: 'onnx_onnxv1',
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [-1, 2] },
        { name: 'b', datatype: 'FP32', shape: [-1, 2] },
      ],
      outputs: [
        { name: 'sum', datatype: 'FP32', shape: [-1, 2] },
        { name: 'difference', datatype: 'FP32', shape: [-1, 2] },
      ],
    }
    expect(await get(model)).toEqual({ status: 200, json: metadata })
    expect(await get(`${model}/versions/7`)).toEqual({ status: 200, json: metadata })
    expect(await get(`${model}/ready`)).toEqual({ status: 200, json: { name, ready: true } })
    expect(await get(`${model}/versions/8`)).toMatchObject({
      status: 404,
      json: { error: expect.stringContaining("wanted '7'") },
    })
    expect(await get(`${two.url}/v2/models/other`)).toMatchObject({
      status: 404,
      json: { code: 'not_found', error: expect.stringContaining(encodeURIComponent(name)) },
    })
    expect((await get(`${two.url}/v2/models/%zz`)).status).toBe(400)
    expect((await get(`${two.url}/v1/models`)).status).toBe(404)
    expect((await get(`${model}/infer`)).status).toBe(405)
  })

  test('JSON inference: order of inputs, nested and flat data, requested outputs, id', async () => {
    const reply = await post(`${model}/infer`, {
      id: '42',
      parameters: { anything: 1 },
      inputs: [tensor('b', [[10, 20]]), tensor('a', [1, 2])],
      outputs: [{ name: 'difference' }],
    })
    expect(JSON.parse(reply.text)).toEqual({
      model_name: name,
      model_version: '7',
      id: '42',
      outputs: [{ name: 'difference', datatype: 'FP32', shape: [1, 2], data: [-9, -18] }],
    })
    expect(reply.headers.get('content-type')).toBe('application/json')
  })

  test('the binary extension, whole and mixed', async () => {
    const f32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
    const inputs = ['a', 'b'].map((input) => ({
      name: input,
      shape: [1, 2],
      datatype: 'FP32',
      parameters: { binary_data_size: 8 },
    }))
    const whole = binaryRequest({ inputs, parameters: { binary_data_output: true } }, [f32(1, 2), f32(10, 20)])
    for (let repeat = 0; repeat < 3; repeat++) {
      const reply = await post(`${model}/infer`, whole.body, whole.headers)
      const json_bytes = Number(reply.headers.get('inference-header-content-length'))
      expect(reply.headers.get('content-type')).toBe('application/octet-stream')
      expect(JSON.parse(reply.bytes.subarray(0, json_bytes).toString()).outputs).toEqual([
        { name: 'sum', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
        { name: 'difference', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
      ])
      expect([...new Float32Array(new Uint8Array(reply.bytes.subarray(json_bytes)).buffer)]).toEqual([11, 22, -9, -18])
    }
    const mixed = binaryRequest(
      {
        id: 'x',
        inputs: [inputs[0], tensor('b', [10, 20])],
        outputs: [{ name: 'sum', parameters: { binary_data: true } }, { name: 'difference' }],
      },
      [f32(1, 2)],
    )
    const reply = await post(`${model}/infer`, mixed.body, mixed.headers)
    const json_bytes = Number(reply.headers.get('inference-header-content-length'))
    expect(JSON.parse(reply.bytes.subarray(0, json_bytes).toString())).toMatchObject({
      id: 'x',
      outputs: [{ name: 'sum' }, { name: 'difference', data: [-9, -18] }],
    })
    expect([...reply.bytes.subarray(json_bytes)]).toEqual([...f32(11, 22)])
  })

  test('the bare form answers in the form it was asked in', async () => {
    const named = await post(two.url, { inputs: { a: [[1, 2]], b: [[3, 4]] } })
    expect(JSON.parse(named.text)).toEqual({ outputs: { sum: [[4, 6]], difference: [[-2, -2]] } })
    const tensors = await post(two.url, { inputs: [tensor('a', [1, 2]), tensor('b', [3, 4])] })
    expect(JSON.parse(tensors.text).outputs).toEqual([
      { name: 'sum', datatype: 'FP32', shape: [1, 2], data: [4, 6] },
      { name: 'difference', datatype: 'FP32', shape: [1, 2], data: [-2, -2] },
    ])
    const array = await post(two.url, { inputs: [[1, 2]] })
    expect(array.status).toBe(400)
    expect(array.text).toContain("this one has 'a', 'b'")
  })

  test.each([
    ['not JSON', '{"inputs": [', 'body is not JSON'],
    ['no inputs', {}, 'inputs: wanted an array of tensors, got nothing'],
    ['unknown input', { inputs: [tensor('z', [1, 2])] }, "input 'z' is not one of the model's: wanted 'a', 'b'"],
    ['missing input', { inputs: [tensor('a', [1, 2])] }, "input 'b': wanted once, got 0 times"],
    ['twice', { inputs: [tensor('a', [1, 2]), tensor('a', [1, 2]), tensor('b', [1, 2])] }, "input 'a': wanted once, got 2 times"],
    [
      'shape',
      { inputs: [tensor('a', [1, 2, 3], [1, 3]), tensor('b', [1, 2])] },
      "input 'a': wanted shape [-1,2] FP32, got [1,3]",
    ],
    ['count', { inputs: [tensor('a', [1]), tensor('b', [1, 2])] }, "input 'a': shape [1,2] wants 2 values, got 1"],
    ['datatype', { inputs: [{ ...tensor('a', [1, 2]), datatype: 'INT32' }] }, "input 'a': wanted datatype FP32, got INT32"],
    ['unknown datatype', { inputs: [{ ...tensor('a', [1, 2]), datatype: 'FLOAT' }] }, 'wanted a datatype of BOOL'],
    ['value', { inputs: [tensor('a', [1, 'x']), tensor('b', [1, 2])] }, 'input \'a\': wanted FP32 values, got "x" at position 1'],
    ['negative shape', { inputs: [tensor('a', [1, 2], [-1, 2])] }, 'wanted "shape" as an array of whole numbers'],
    ['huge shape', { inputs: [tensor('a', [], [1e12, 2])] }, 'is larger than any request can be'],
    [
      'unknown output',
      { inputs: [tensor('a', [1, 2]), tensor('b', [1, 2])], outputs: [{ name: 'q' }] },
      "output 'q' is not one of the model's",
    ],
    ['id', { id: 7, inputs: [] }, 'id: wanted a string, got 7'],
  ])('%s is a 400 saying what was wanted', async (_case, body, told) => {
    const reply = await post(`${model}/infer`, body)
    expect(reply.status).toBe(400)
    expect(JSON.parse(reply.text)).toEqual({ error: expect.stringContaining(told), code: 'bad_request' })
  })

  test('a wrong binary length is a 400 on either side', async () => {
    const inputs = ['a', 'b'].map((input) => ({
      name: input,
      shape: [1, 2],
      datatype: 'FP32',
      parameters: { binary_data_size: 8 },
    }))
    const short = binaryRequest({ inputs }, [new Uint8Array(8)])
    expect(JSON.parse((await post(`${model}/infer`, short.body, short.headers)).text).error).toContain(
      'wanted 16 bytes of binary data',
    )
    const wild = await post(`${model}/infer`, short.body, { ...short.headers, 'inference-header-content-length': '99999' })
    expect(JSON.parse(wild.text).error).toContain("wanted at most the body's")
    const word = await post(`${model}/infer`, short.body, { ...short.headers, 'inference-header-content-length': 'ten' })
    expect(word.status).toBe(400)
  })

  test('deeply nested and ragged arrays are refused', async () => {
    const deep = await post(two.url, `{"inputs":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)},"b":[[1,2]]}}`)
    expect([deep.status, JSON.parse(deep.text).code]).toEqual([400, 'bad_request'])
    const ragged = await post(two.url, {
      inputs: {
        a: [[1, 2], [3]],
        b: [
          [1, 2],
          [3, 4],
        ],
      },
    })
    expect(JSON.parse(ragged.text).error).toContain("input 'a': ragged array")
  })
})

describe('every datatype goes through unchanged', () => {
  const cases: [ElementType, string][] = [
    ['BOOL', '[true,false]'],
    ['UINT8', '[0,255]'],
    ['UINT16', '[0,65535]'],
    ['UINT32', '[0,4294967295]'],
    ['UINT64', '[9007199254740993,18446744073709551615]'],
    ['INT8', '[-128,127]'],
    ['INT16', '[-32768,32767]'],
    ['INT32', '[-2147483648,2147483647]'],
    ['INT64', '[-9223372036854775808,9007199254740993]'],
    ['FP32', '[1.5,-0.25]'],
    ['FP64', '[1e+300,0.1]'],
    ['BYTES', '["","grüße \\"x\\""]'],
  ]
  test.each(cases)('%s in JSON', async (datatype, data) => {
    const server = await all.serve('m', identityModel(datatype, ['n']))
    const protocol = await post(
      `${server.url}/v2/models/m/infer`,
      `{"inputs":[{"name":"x","shape":[2],"datatype":"${datatype}","data":${data}}]}`,
    )
    expect(protocol.text).toContain(`"data":${data}`)
    expect((await post(server.url, `{"inputs":${data}}`)).text).toBe(`{"outputs":${data}}`)
  })

  test('values out of range are refused, not wrapped', async () => {
    const server = await all.serve('m', identityModel('INT64', ['n']))
    expect((await post(server.url, '{"inputs":[9223372036854775808]}')).text).toContain(
      'wanted INT64 values, got 9223372036854775808',
    )
    const small = await all.serve('m', identityModel('UINT8', ['n']))
    for (const bad of ['256', '-1', '1.5', 'null']) expect((await post(small.url, `{"inputs":[${bad}]}`)).status).toBe(400)
  })

  test('BYTES and FP16 by the binary extension; FP16 has no JSON form', async () => {
    const text = await all.serve('m', identityModel('BYTES', ['n']))
    const blob = Buffer.from('\x02\x00\x00\x00hi\x00\x00\x00\x00', 'latin1')
    const request = binaryRequest(
      {
        inputs: [{ name: 'x', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: blob.length } }],
        parameters: { binary_data_output: true },
      },
      [blob],
    )
    const back = await post(`${text.url}/v2/models/m/infer`, request.body, request.headers)
    expect(back.bytes.subarray(Number(back.headers.get('inference-header-content-length'))).equals(blob)).toBe(true)
    const half = await all.serve('m', identityModel('FP16', ['n']))
    const halves = Uint8Array.of(0, 0x3c, 0, 0xc0)
    const input = { name: 'x', shape: [2], datatype: 'FP16', parameters: { binary_data_size: 4 } }
    const sent = binaryRequest({ inputs: [input], parameters: { binary_data_output: true } }, [halves])
    const got = await post(`${half.url}/v2/models/m/infer`, sent.body, sent.headers)
    expect([...got.bytes.subarray(Number(got.headers.get('inference-header-content-length')))]).toEqual([...halves])
    const asked = binaryRequest({ inputs: [input] }, [halves])
    expect((await post(`${half.url}/v2/models/m/infer`, asked.body, asked.headers)).text).toContain(
      "output 'y': FP16 has no JSON form",
    )
    expect((await post(half.url, { inputs: [1] })).text).toContain('FP16 has no JSON form; send it with the binary extension')
  })
})
