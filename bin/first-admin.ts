import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import * as z from 'zod'
import { readOptions, runCommand } from './command.ts'

/**
 * `npm run aws:admin -- --stage dev [--region …] [--reset]`: makes the first admin of a deployed platform and prints the password once.
 * With `--reset` it gets a new password. Whoever may invoke the function `aideploy-<stage>-first-admin` may do this, and IAM says who.
 */

const values = readOptions('npm run aws:admin -- --stage dev [--region us-east-1] [--reset]', {
  stage: { type: 'string', default: 'dev' },
  region: { type: 'string' },
  reset: { type: 'boolean', default: false },
})

const Answer = z.object({ created: z.boolean(), username: z.string(), generated_password: z.string().optional() })
const Failure = z.looseObject({ errorMessage: z.string() })

const run = async (): Promise<number> => {
  const client = new LambdaClient({ ...(values.region && { region: values.region }) })
  const reply = await client.send(
    new InvokeCommand({
      FunctionName: `aideploy-${values.stage}-first-admin`,
      Payload: Buffer.from(JSON.stringify({ reset: values.reset })),
    }),
  )
  const text = Buffer.from(reply.Payload ?? []).toString('utf8')
  if (reply.FunctionError !== undefined) throw new Error(Failure.safeParse(JSON.parse(text)).data?.errorMessage ?? text)
  const { created, username, generated_password } = Answer.parse(JSON.parse(text))
  process.stdout.write(
    generated_password === undefined
      ? `There is a first admin already; --reset gives the user ${username} a new password\n`
      : `${created ? 'Made' : 'New password for'} user ${username}: ${generated_password}\nIt is shown once; only its hash is kept.\n`,
  )
  return 0
}

await runCommand('The first admin could not be made', run)
