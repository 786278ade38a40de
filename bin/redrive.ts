import { GetQueueAttributesCommand, paginateListQueues, SQSClient, StartMessageMoveTaskCommand } from '@aws-sdk/client-sqs'
import { readOptions, runCommand } from './command.ts'

/**
 * `npm run aws:redrive -- --stage dev [--region …] [--dry-run]`: moves the dead letters of every subscriber back into its queue, where
 * they are delivered again. Do it once the cause is gone: what fails five times more comes back. Messages that wait already are not
 * moved twice, and subscribers take an event that comes again for one.
 */

const values = readOptions('npm run aws:redrive -- --stage dev [--region us-east-1] [--dry-run]', {
  stage: { type: 'string', default: 'dev' },
  region: { type: 'string' },
  endpoint: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
})

const client = new SQSClient({
  ...(values.region !== undefined && { region: values.region }),
  ...(values.endpoint !== undefined && { endpoint: values.endpoint }),
})

const waiting = async (QueueUrl: string): Promise<{ arn: string; count: number }> => {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn', 'ApproximateNumberOfMessages'] }),
  )
  return { arn: Attributes?.QueueArn ?? '', count: Number(Attributes?.ApproximateNumberOfMessages ?? 0) }
}

const run = async (): Promise<number> => {
  let moved = 0
  const prefix = `aideploy-${values.stage}-`
  for await (const { QueueUrls = [] } of paginateListQueues({ client }, { QueueNamePrefix: prefix }))
    for (const url of QueueUrls.filter((candidate) => candidate.endsWith('-dead'))) {
      const name = url.split('/').at(-1)
      const { arn, count } = await waiting(url)
      if (count > 0 && !values['dry-run']) {
        await client.send(new StartMessageMoveTaskCommand({ SourceArn: arn }))
        moved += count
      }
      process.stdout.write(
        `${name}: ${count === 0 ? 'empty' : `about ${count} ${values['dry-run'] ? 'waiting' : 'on their way back'}`}\n`,
      )
    }
  process.stdout.write(moved === 0 ? 'nothing was moved\n' : `about ${moved} messages are delivered again\n`)
  return 0
}

await runCommand('Not finished', run)
