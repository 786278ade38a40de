import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { ServiceError, startAwsJsonServer } from '../../support/aws-json-server.ts'

const root = join(import.meta.dirname, '../../..')
const url = (name: string) => `http://127.0.0.1/123456789012/${name}`

/** Queues by name with how many messages wait in them; a move empties one into its source, as SQS does. */
const sqs = async (queues: Map<string, number>) => {
  const nameOf = (QueueUrl: unknown) => String(QueueUrl).split('/').at(-1) ?? ''
  const server = await startAwsJsonServer({
    ListQueues: ({ QueueNamePrefix }) => ({
      QueueUrls: [...queues.keys()].filter((name) => name.startsWith(String(QueueNamePrefix))).map(url),
    }),
    GetQueueAttributes: ({ QueueUrl }) => ({
      Attributes: {
        QueueArn: `arn:aws:sqs:us-east-1:123456789012:${nameOf(QueueUrl)}`,
        ApproximateNumberOfMessages: String(queues.get(nameOf(QueueUrl)) ?? 0),
      },
    }),
    StartMessageMoveTask: ({ SourceArn }) => {
      const dead = String(SourceArn).split(':').at(-1) ?? ''
      const source = dead.replace(/-dead$/, '')
      if (source === dead)
        throw new ServiceError('UnsupportedOperation', 'Source queue must be configured as a Dead Letter Queue.')
      queues.set(source, (queues.get(source) ?? 0) + (queues.get(dead) ?? 0))
      queues.set(dead, 0)
      return { TaskHandle: 'task' }
    },
  })
  onTestFinished(server.stop)
  const run = async (...args: string[]) => {
    const env = { ...process.env, AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
    const script = [join(root, 'bin/redrive.ts'), '--stage', 'dev', '--endpoint', server.endpoint, ...args]
    return (await promisify(execFile)(process.execPath, script, { env })).stdout
  }
  return { run, queues }
}

it('dead letters go back into their queues, those of this stage and no empty ones', async () => {
  const { run, queues } = await sqs(
    new Map([
      ['aideploy-dev-deliver-keep-audit', 1],
      ['aideploy-dev-deliver-keep-audit-dead', 7],
      ['aideploy-dev-deliver-webhooks-dead', 0],
      ['aideploy-prod-deliver-keep-audit-dead', 3],
    ]),
  )
  expect(await run('--dry-run')).toMatch(/keep-audit-dead: about 7 waiting\n[\s\S]*nothing was moved/)
  expect(queues.get('aideploy-dev-deliver-keep-audit')).toBe(1)
  expect(await run()).toBe(
    'aideploy-dev-deliver-keep-audit-dead: about 7 on their way back\naideploy-dev-deliver-webhooks-dead: empty\nabout 7 messages are delivered again\n',
  )
  expect(Object.fromEntries(queues)).toEqual({
    'aideploy-dev-deliver-keep-audit': 8,
    'aideploy-dev-deliver-keep-audit-dead': 0,
    'aideploy-dev-deliver-webhooks-dead': 0,
    'aideploy-prod-deliver-keep-audit-dead': 3,
  })
})
