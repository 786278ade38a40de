import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, expect, it, vi } from 'vitest'
import { routes } from '../../../layers/core/contract/routes.ts'

const home = mkdtempSync(join(tmpdir(), 'dispatch-stream-'))
vi.stubEnv('AIDEPLOY_HOME', home)
// What Lambda's runtime puts there.
vi.stubGlobal('awslambda', {
  streamifyResponse: (handler: unknown) => handler,
  HttpResponseStream: { from: (stream: PassThrough) => stream },
})
const { app, host } = await import('../../../layers/compose/embedded.ts')
const { dispatchStream } = await import('../../../functions/entry/dispatch-stream.ts')

afterAll(async () => {
  await host.processes.stop()
  host.records.close()
  rmSync(home, { recursive: true, force: true })
})

it('writes what was metered after the answer has gone out, and before the invocation ends', async () => {
  const order: string[] = []
  vi.spyOn(app.meter, 'flush').mockImplementation(async () => void order.push('flushed'))
  const handler = dispatchStream([
    Object.assign(
      async () => {
        order.push('answered')
        const body = Readable.from([Buffer.from('one '), Buffer.from('two')]).once('end', () => order.push('sent'))
        return { status: 200, headers: {}, body }
      },
      { id: 'infer-post' as const },
    ),
  ])
  const sink = new PassThrough()
  const received = text(sink)
  const event = {
    ...{
      httpMethod: 'POST',
      resource: routes['infer-post'].path,
      path: '/deployments/dep_1/inference',
      body: '{}',
    },
    ...{ headers: {}, pathParameters: { deployment_id: 'dep_1' }, queryStringParameters: null, isBase64Encoded: false },
    requestContext: { requestId: 'req_1', identity: { sourceIp: '192.0.2.1' } },
  }
  await Reflect.apply(handler, undefined, [event, sink, {}])
  expect(await received).toBe('one two')
  expect(order).toEqual(['answered', 'sent', 'flushed'])
})
