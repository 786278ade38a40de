import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

/** The few calls the demo makes, over plain HTTP; nothing here knows how the platform works inside. */
export interface Client {
  call<Answer>(method: string, path: string, body?: unknown): Promise<Answer>
  upload(path: string, fields: Record<string, string>): Promise<{ model_id: string }>
  /** One inference with binary tensors (Open Inference Protocol v2); answers the first output. */
  infer(
    endpoint: string,
    name: string,
    input: { name: string; shape: number[]; data: Float32Array },
  ): Promise<{ shape: number[]; data: Float32Array }>
}

export const signIn = async (base_url: string, username: string, password: string): Promise<Client> => {
  const { token } = await answer<{ token: string }>(
    await fetch(`${base_url}/auth/token`, { method: 'POST', headers: json, body: JSON.stringify({ username, password }) }),
  )
  const headers = { authorization: `Bearer ${token}` }
  return {
    call: async (method, path, body) =>
      answer(
        await fetch(`${base_url}${path}`, {
          method,
          headers: { ...headers, ...(body === undefined ? {} : json) },
          body: body === undefined ? undefined : JSON.stringify(body),
        }),
      ),
    upload: async (path, fields) => {
      const form = new FormData()
      for (const [name, value] of Object.entries(fields)) form.set(name, value)
      form.set('file', new Blob([await readFile(path)]), basename(path))
      return answer(await fetch(`${base_url}/models`, { method: 'POST', headers, body: form }))
    },
    infer: async (endpoint, name, input) => {
      const tensor = Buffer.from(input.data.buffer, input.data.byteOffset, input.data.byteLength)
      const head = Buffer.from(
        JSON.stringify({
          inputs: [{ name: input.name, shape: input.shape, datatype: 'FP32', parameters: { binary_data_size: tensor.length } }],
          parameters: { binary_data_output: true },
        }),
      )
      const response = await fetch(`${endpoint}/v2/models/${encodeURIComponent(name)}/infer`, {
        method: 'POST',
        headers: {
          ...headers,
          'content-type': 'application/octet-stream',
          'inference-header-content-length': String(head.length),
        },
        body: Buffer.concat([head, tensor]),
      })
      return firstOutput(response)
    },
  }
}

const json = { 'content-type': 'application/json' }

const answer = async <Answer>(response: Response): Promise<Answer> => {
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${text}`)
  return JSON.parse(text)
}

const firstOutput = async (response: Response): Promise<{ shape: number[]; data: Float32Array }> => {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`)
  const bytes = Buffer.from(await response.arrayBuffer())
  const head_bytes = Number(response.headers.get('inference-header-content-length'))
  const { outputs }: { outputs: { shape: number[]; parameters: { binary_data_size: number } }[] } = JSON.parse(
    bytes.subarray(0, head_bytes).toString(),
  )
  const [first] = outputs
  if (first === undefined) throw new Error('The model answered no output')
  return {
    shape: first.shape,
    data: new Float32Array(new Uint8Array(bytes.subarray(head_bytes, head_bytes + first.parameters.binary_data_size)).buffer),
  }
}
