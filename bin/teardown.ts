import { stdin, stdout } from 'node:process'
import { createInterface } from 'node:readline/promises'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import * as z from 'zod'
import { messageOf, readOptions } from './command.ts'

/**
 * `npm run aws:teardown -- --stage dev [--region us-east-1] [--yes]`: removes everything that deployments of a stage have provisioned,
 * before `cdk destroy`. The work is done by the stage's own function, which may remove these things and nothing else.
 */

const usage = 'npm run aws:teardown -- --stage dev [--region us-east-1] [--yes]'
const values = readOptions(usage, {
  stage: { type: 'string' },
  region: { type: 'string' },
  yes: { type: 'boolean', default: false },
  endpoint: { type: 'string' },
})
if (values.stage === undefined) {
  console.error(`--stage is missing; ${usage}`)
  process.exit(2)
}

/** The function may work for 15 minutes. */
const client = new LambdaClient({
  maxAttempts: 1,
  requestHandler: { requestTimeout: 905_000, connectionTimeout: 5_000 },
  ...(values.region && { region: values.region }),
  ...(values.endpoint && { endpoint: values.endpoint }),
})
const Answer = z.object({ left: z.array(z.string()), removed: z.array(z.string()) })
const Refusal = z.object({ errorMessage: z.string() })

const ask = async (remove: boolean): Promise<z.infer<typeof Answer>> => {
  const reply = await client.send(
    new InvokeCommand({
      FunctionName: `aideploy-${values.stage}-teardown`,
      Payload: new TextEncoder().encode(JSON.stringify({ remove })),
    }),
  )
  const said: unknown = JSON.parse(new TextDecoder().decode(reply.Payload))
  if (reply.FunctionError !== undefined) throw new Error(Refusal.safeParse(said).data?.errorMessage ?? JSON.stringify(said))
  return Answer.parse(said)
}

const confirmed = async (): Promise<boolean> => {
  if (values.yes) return true
  if (!stdin.isTTY) {
    console.error('Nothing was removed: say --yes to remove them')
    return false
  }
  const lines = createInterface({ input: stdin, output: stdout })
  const said = await lines.question('Remove all of them? Their addresses cannot be had again. Type yes: ')
  lines.close()
  return said.trim() === 'yes'
}

const run = async (): Promise<number> => {
  const { left } = await ask(false)
  console.log(left.length === 0 ? `Nothing of deployments is left in stage ${values.stage}` : `${left.join('\n')}`)
  if (left.length === 0) return 0
  if (!(await confirmed())) return 1
  const { removed } = await ask(true)
  console.log(`Removed:\n${removed.join('\n')}`)
  return 0
}

process.exitCode = await run().catch((error: unknown) => {
  console.error(`Not finished: ${messageOf(error)}\nRepeat the command; it goes on where it stopped`)
  return 1
})
