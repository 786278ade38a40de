import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import type { Metafile } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { buildFunctions, buildRuntime } from '../../bin/build.ts'
import { buildLayer } from '../../layers/onnxruntime/build-layer.ts'
import { units } from '../../lib/units.ts'
import { createRecordsTable, dynamoClient, type Emulator, s3Client, startDynalite, startS3 } from '../support/emulators.ts'
import { startLambda } from '../support/lambda-runtime.ts'
import { denseModel, writeModel } from '../support/models.ts'
import { createBucket, modelEnvironment, publishModel } from '../support/published-model.ts'
import { post } from '../support/serving.ts'

const root = join(import.meta.dirname, '../..')
const most_bytes = 300_000
let folder: string
let dist: string
let functions: Metafile
let runtime: Metafile
let dynamodb: Emulator

/** Bundles in one place, the layer in another, and no `node_modules` above either. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aideploy-dist-'))
  dist = join(folder, 'task')
  const layer = join(folder, 'opt', 'nodejs/')
  const probe = { in: join(root, 'test/support/bundle-probe.ts'), out: 'probe' }
  ;[functions, runtime, dynamodb] = await Promise.all([
    buildFunctions(dist, { layer, also: [probe] }),
    buildRuntime(join(dist, 'runtime'), { layer }),
    startDynalite(),
    buildLayer(join(folder, 'opt'), process.arch === 'arm64' ? 'arm64' : 'x64'),
  ])
  await createRecordsTable(dynamoClient(dynamodb.endpoint), 'records')
})
afterAll(async () => {
  await dynamodb.stop()
  await rm(folder, { recursive: true, force: true })
})

/** An output and all it imports before its first line runs. */
const eager = ({ outputs }: Metafile, path: string, seen = new Set<string>()): Set<string> => {
  const output = outputs[path]
  if (output === undefined || seen.has(path)) return seen
  seen.add(path)
  for (const { path: next, kind } of output.imports) if (kind === 'import-statement') eager({ inputs: {}, outputs }, next, seen)
  return seen
}
const outputOf = (metafile: Metafile, file: string): string => {
  const name = relative(root, join(dist, file))
  if (metafile.outputs[name] === undefined) throw new Error(`${name} was not built`)
  return name
}
const eagerBytes = (metafile: Metafile, file: string): number =>
  [...eager(metafile, outputOf(metafile, file))].reduce((sum, path) => sum + (metafile.outputs[path]?.bytes ?? 0), 0)
const eagerSources = (metafile: Metafile, file: string): string[] =>
  [...eager(metafile, outputOf(metafile, file))].flatMap((path) => Object.keys(metafile.outputs[path]?.inputs ?? {}))

const env = { PATH: '/usr/bin:/bin', AIDEPLOY_STAGE: 'test', AIDEPLOY_TABLE: 'records', AIDEPLOY_BUCKET: 'artifacts' }

describe('the bundles', () => {
  it.each(units.map(({ name }) => name))('of %s is small with all it imports at once', (name) => {
    expect(eagerBytes(functions, `${name}.mjs`)).toBeLessThanOrEqual(most_bytes)
  })

  it('of the model function is small too, and imports no SDK before it is used', () => {
    // Its entry starts the model process and then imports all else in the same breath.
    const served = Object.keys(runtime.outputs).find((path) => runtime.outputs[path]?.entryPoint === 'functions/runtime/serve.ts')
    const all = [...eager(runtime, served ?? '', eager(runtime, outputOf(runtime, 'runtime/handler.mjs')))]
    expect(all.length).toBeGreaterThan(2)
    expect(all.reduce((sum, path) => sum + (runtime.outputs[path]?.bytes ?? 0), 0)).toBeLessThanOrEqual(most_bytes)
    const sources = all.flatMap((path) => Object.keys(runtime.outputs[path]?.inputs ?? {}))
    expect(sources).toContain('functions/runtime/answer.ts')
    expect(sources.filter((path) => /node_modules\/(@aws-sdk|@smithy)\//.test(path))).toEqual([])
  })

  it.each(units.map(({ name }) => name))('of %s imports no SDK before it is used', (name) => {
    const sources = eagerSources(functions, `${name}.mjs`)
    expect(sources.filter((path) => /node_modules\/(@aws-sdk|@smithy)\//.test(path))).toEqual([])
  })

  it('get the onnxruntime layer exactly where a unit has models opened', () => {
    const opens = /\bworkbench\.(build|measure)\(|\bdeployer\.deploy\(/
    const wanted = units.filter(
      ({ name, kind }) =>
        kind === 'step' &&
        eagerSources(functions, `${name}.mjs`).some(
          (path) => path.startsWith('layers/core/usecases/') && opens.test(readFileSync(join(root, path), 'utf8')),
        ),
    )
    expect(units.filter(({ onnxruntime }) => onnxruntime).map(({ name }) => name)).toEqual(wanted.map(({ name }) => name))
  })

  it('name every child process by a file that is there', () => {
    const texts = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.mjs'))
    const named = texts.flatMap((file) =>
      [...readFileSync(join(dist, file), 'utf8').matchAll(/"((?:children|data)\/[\w-]+\.(?:mjs|json))"/g)].map(([, child = '']) =>
        join(dist, file.startsWith('runtime/') ? 'runtime' : '', child),
      ),
    )
    expect(new Set(named).size).toBeGreaterThanOrEqual(9)
    expect(named.filter((path) => !existsSync(path))).toEqual([])
    for (const file of texts) expect(readFileSync(join(dist, file), 'utf8'), file).not.toMatch(/new URL\("\.\/[\w-]+\.(ts|json)"/)
  })
})

describe('children of the bundles, with nothing on the path but bundles and layer', () => {
  /** Runs a script in a process that knows the bundles' folder and no environment. */
  const run = async (script: string): Promise<unknown> => {
    const cwd = join(folder, 'elsewhere')
    await mkdir(cwd, { recursive: true })
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd, env })
    return JSON.parse(stdout)
  }
  const probe = () => JSON.stringify(join(dist, 'probe.mjs'))

  it('inspect a model', async () => {
    const path = writeModel(join(folder, 'inspect', 'model.onnx'), denseModel([4, 8, 3]))
    const inspection = await run(`
      const { onnxInspector } = await import(${probe()})
      const told = await onnxInspector().inspect(${JSON.stringify(path)}, { framework: 'onnx', file_name: 'model.onnx' })
      console.log(JSON.stringify(told))`)
    expect(inspection).toMatchObject({ inputs: [{ name: 'x' }], outputs: [{ name: 'y' }] })
  })

  it('build a candidate and measure it beside the original', async () => {
    const path = writeModel(join(folder, 'optimize', 'model.onnx'), denseModel([256, 256, 64, 10]))
    const result = await run(`
      import { createWriteStream, mkdirSync } from 'node:fs'
      import { pipeline } from 'node:stream/promises'
      const { workbench } = await import(${probe()})
      const at = (key) => key === 'original' ? ${JSON.stringify(path)} : ${JSON.stringify(join(folder, 'optimize'))} + '/' + key
      const artifacts = {
        asFile: async (key) => ({ path: at(key), release: async () => {} }),
        put: async (key, body) => (await pipeline(body, createWriteStream(at(key))), { size_bytes: 1, sha256: '' }),
      }
      const scratch = ${JSON.stringify(join(folder, 'scratch'))}
      mkdirSync(scratch)
      const bench = workbench(artifacts, scratch)
      const order = { original: 'original', candidate: 'candidate', calibration: null }
      const built = await bench.build({ ...order, optimizer: 'dynamic-int8', settings: { weight_type: 'u8', conv: 'none', gather: false } })
      const measured = await bench.measure({ ...order, class_output: undefined, input_shapes: {} })
      console.log(JSON.stringify({ built, measured }))`)
    const told = z
      .object({
        measured: z.object({ original: z.object({ size_bytes: z.number() }), candidate: z.object({ size_bytes: z.number() }) }),
      })
      .parse(result)
    expect(told.measured.candidate.size_bytes).toBeLessThan(told.measured.original.size_bytes / 2)
  })

  it('write a serving form, from which the model function serves', async () => {
    const s3 = await startS3()
    const bucket = s3Client(s3.endpoint)
    await createBucket(bucket, 'artifacts')
    const path = writeModel(join(folder, 'serve', 'model.onnx'), denseModel([64, 64, 3]))
    const out = join(folder, 'serve', 'form')
    await run(`
      const { writeServingForm } = await import(${probe()})
      console.log(JSON.stringify(await writeServingForm(${JSON.stringify(path)}, ${JSON.stringify(out)})))`)
    expect(readdirSync(out).sort()).toEqual(['model.onnx', 'weights.bin'])
    const facts = { organization_id: 'org_1', deployment_id: 'dep_1', revision: 1, name: 'small' }
    const published = await publishModel(bucket, 'artifacts', facts, path)
    for (const { name, sha256 } of published.manifest.files)
      expect(
        createHash('sha256')
          .update(readFileSync(join(out, name)))
          .digest('hex'),
      ).toBe(sha256)
    const environment = {
      ...modelEnvironment(published),
      ...{ AWS_ENDPOINT_URL_S3: s3.endpoint, AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint },
    }
    const model = { folder: join(dist, 'runtime'), handler: 'handler.handler', environment, timeout_s: 20, memory_mb: 1024 }
    const host = await startLambda({ functions: new Map([['small', model]]) })
    try {
      const { status, text } = await post(await host.url('small'), { inputs: [Array.from({ length: 64 }, () => 1)] })
      expect({ status, text }).toMatchObject({ status: 200, text: expect.stringContaining('outputs') })
    } finally {
      await host.stop()
      await s3.stop()
    }
  })
})

describe('the functions, run from their bundles as Lambda does', () => {
  const call = async (unit: string, method: string, resource: string) => {
    const event = {
      ...{ httpMethod: method, resource, path: resource, headers: {}, body: null },
      requestContext: { requestId: 'req_1', identity: { sourceIp: '192.0.2.1' } },
    }
    const environment = { ...env, AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint }
    const made = { folder: dist, handler: `${unit}.handler`, environment, timeout_s: 20, memory_mb: 512 }
    const host = await startLambda({ functions: new Map([[unit, made]]) })
    try {
      const { payload, function_error } = await host.invoke(unit, event)
      expect(function_error).toBeUndefined()
      const { statusCode, body } = z.object({ statusCode: z.number(), body: z.string() }).parse(JSON.parse(payload.toString()))
      return { status: statusCode, body: JSON.parse(body) }
    } finally {
      await host.stop()
    }
  }

  it('answer health from DynamoDB', async () => {
    expect(await call('platform', 'GET', '/health')).toMatchObject({ status: 200, body: { status: 'ok' } })
  })

  it('describe the API', async () => {
    expect(await call('platform', 'GET', '/openapi.json')).toMatchObject({ status: 200, body: { openapi: '3.1.0' } })
  })
})
