/**
 * The serving core from a command line, for containers and for trying a model:
 * `node layers/serving/serve.ts --model model.onnx --name iris [--host 127.0.0.1] [--port 8080] [--threads 1] [--timeout 30]`.
 * Prints one line when ready; SIGTERM and SIGINT stop it.
 */
import { statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startHttpServer } from './http-server.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    name: { type: 'string', default: 'model' },
    version: { type: 'string', default: '1' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8080' },
    threads: { type: 'string', default: '1' },
    timeout: { type: 'string', default: '30' },
  },
})
if (values.model === undefined) throw new Error('--model: wanted the path of an ONNX file')

const model_path = resolve(values.model)
/** Above this, prepacking beside serving would hold callers up; a second process does it. */
const swap_tiers_bytes = 48_000_000
const weights = statSync(join(dirname(model_path), 'weights.bin'), { throwIfNoEntry: false })
const server = await startHttpServer({
  model_path,
  name: values.name,
  version: values.version,
  host: values.host,
  port: Number(values.port),
  threads: Number(values.threads),
  timeout_ms: Number(values.timeout) * 1000,
  swap_tiers: statSync(model_path).size + (weights?.size ?? 0) > swap_tiers_bytes,
})
console.log(`ready ${server.url}`)
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close())
