import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import * as z from 'zod'
import { startAwsJsonServer } from '../support/aws-json-server.ts'
import { startSagemakerCloud } from '../support/sagemaker-cloud.ts'

const Sent = z.object({
  FromEmailAddress: z.string(),
  Destination: z.object({ ToAddresses: z.array(z.string()).min(1).max(50) }),
  Content: z.object({ Raw: z.object({ Data: z.base64() }) }),
})

export interface Outside {
  endpoints: Record<string, string>
  /** Mails that went out. */
  mails: z.output<typeof Sent>[]
  /** SageMaker has its own IAM, scaling, alarms and logs; what is asked of those for it goes there. */
  elsewhere(body: string, service: string): string | undefined
  stop(): Promise<void>
}

const shared = ['iam', 'application-autoscaling', 'monitoring', 'logs']

/** SageMaker, SES, which takes every mail, and the Price List API, whose lists are empty: what no emulator of the cloud serves. */
export const startOutside = async (): Promise<Outside> => {
  const mails: Outside['mails'] = []
  const prices = await startAwsJsonServer({ GetProducts: () => ({ FormatVersion: 'aws_v1', PriceList: [] }) })
  const sagemaker = await startSagemakerCloud()
  // What it works on is done at the first look: a real one takes minutes, and its deployer waits five seconds between looks.
  sagemaker.orders.looks = 0
  sagemaker.container = async () => ({
    status: 200,
    content_type: 'application/json',
    body: Buffer.from(JSON.stringify({ outputs: [] })),
  })
  const ses = createServer(async (request, response) => {
    const sent = Sent.safeParse(JSON.parse((await buffer(request)).toString() || '{}'))
    const known = request.method === 'POST' && request.url === '/v2/email/outbound-emails' && sent.success
    if (known) mails.push(sent.data)
    response.writeHead(known ? 200 : 400, { 'content-type': 'application/json' })
    response.end(JSON.stringify(known ? { MessageId: randomUUID() } : { message: `not understood: ${request.url}` }))
  }).listen(0, '127.0.0.1')
  await once(ses, 'listening')
  return {
    endpoints: {
      AWS_ENDPOINT_URL_SESV2: `http://127.0.0.1:${(ses.address() as AddressInfo).port}`,
      AWS_ENDPOINT_URL_PRICING: prices.endpoint,
      AWS_ENDPOINT_URL_SAGEMAKER: sagemaker.endpoint,
      AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: sagemaker.endpoint,
    },
    mails,
    elsewhere: (body, service) =>
      shared.includes(service) && /sagemaker|aideploy-dev-s-/.test(body) ? sagemaker.endpoint : undefined,
    stop: async () => {
      ses.closeAllConnections()
      ses.close()
      await Promise.all([prices.stop(), sagemaker.stop()])
    },
  }
}
