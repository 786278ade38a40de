import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from '@aws-sdk/client-dynamodb'
import { S3Client } from '@aws-sdk/client-s3'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import dynalite from 'dynalite'
import { startFauxqs } from 'fauxqs'
import { recordsTable } from '../../layers/records/records-table.ts'

/** A server that speaks one AWS service on 127.0.0.1. */
export interface Emulator {
  /** An address, never `localhost`: with a name the S3 client would put the bucket into it. */
  endpoint: string
  stop(): Promise<void>
}

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }

export const dynamoClient = (endpoint: string): DynamoDBDocumentClient =>
  DynamoDBDocumentClient.from(new DynamoDBClient({ endpoint, region: 'us-east-1', credentials }))

export const s3Client = (endpoint: string): S3Client => new S3Client({ endpoint, region: 'us-east-1', credentials })

export const createRecordsTable = async (client: DynamoDBDocumentClient, table: string): Promise<void> => {
  const { key, indexes } = recordsTable
  const schema = (of: { pk: string; sk: string }) => [
    { AttributeName: of.pk, KeyType: 'HASH' as const },
    { AttributeName: of.sk, KeyType: 'RANGE' as const },
  ]
  const names = [key, ...Object.values(indexes)].flatMap(({ pk, sk }) => [pk, sk])
  await client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: schema(key),
      AttributeDefinitions: names.map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const })),
      GlobalSecondaryIndexes: Object.entries(indexes).map(([IndexName, of]) => ({
        IndexName,
        KeySchema: schema(of),
        Projection: { ProjectionType: 'ALL' as const },
      })),
    }),
  )
  await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 1 }, { TableName: table })
}

export const startDynalite = async (): Promise<Emulator> => {
  const server = dynalite({ createTableMs: 0 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { endpoint: `http://127.0.0.1:${port}`, stop: () => new Promise((done) => server.close(() => done())) }
}

export const startS3 = async (): Promise<Emulator> => {
  const server = await startFauxqs({ port: 0, logger: false, host: '127.0.0.1' })
  return { endpoint: `http://127.0.0.1:${server.port}`, stop: () => server.stop() }
}

export const hasMoto = (): boolean => spawnSync('python3', ['-c', 'import moto.server'], { stdio: 'ignore' }).status === 0

export const startMoto = async (): Promise<Emulator> => {
  const port = await freePort()
  return startProcess('python3', ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], port)
}

/** Amazon's DynamoDB Local: the folder holds `DynamoDBLocal.jar` and its libraries. */
export const startDynamodbLocal = async (folder: string): Promise<Emulator> => {
  const port = await freePort()
  const jvm = [
    `-Djava.library.path=${folder}/DynamoDBLocal_lib`,
    '-cp',
    `${folder}/*`,
    'com.amazonaws.services.dynamodbv2.local.main.ServerRunner',
  ]
  return startProcess('java', [...jvm, '-inMemory', '-disableTelemetry', '-port', String(port)], port)
}

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

const startProcess = async (command: string, args: string[], port: number): Promise<Emulator> => {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (text) => {
    said = (said + text).slice(-2000)
  })
  const endpoint = `http://127.0.0.1:${port}`
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}: ${said}`)
    const answered = await fetch(endpoint).then(
      () => true,
      () => false,
    )
    if (answered) return { endpoint, stop: () => stopProcess(child) }
    await pause(100)
  }
  await stopProcess(child)
  throw new Error(`${command} did not listen on ${endpoint}: ${said}`)
}

const stopProcess = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
