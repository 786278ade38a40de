import { describe, it } from 'vitest'
import { dynamodbRecords } from '../../layers/records/dynamodb.ts'
import {
  createRecordsTable,
  dynamoClient,
  type Emulator,
  hasMoto,
  startDynalite,
  startDynamodbLocal,
  startMoto,
} from '../support/emulators.ts'
import { type Difference, recordsContract } from './records.ts'
import { transactionTests } from './records-transactions.ts'

const onEmulator = (name: string, start: () => Promise<Emulator>, differences: Difference[]): void =>
  recordsContract(
    name,
    async (clock) => {
      const emulator = await start()
      const client = dynamoClient(emulator.endpoint)
      await createRecordsTable(client, 'records')
      const close = () => {
        client.destroy()
        return emulator.stop()
      }
      return { records: dynamodbRecords({ table: 'records', client: () => client, now: () => clock.now }), clock, close }
    },
    differences,
  )

onEmulator('dynalite', startDynalite, [
  { reason: 'dynalite has no TransactWriteItems', tests: Object.keys(transactionTests) },
  { reason: 'dynalite compares the bounds of a range by UTF-16 units', tests: ['takes bounds by their UTF-8 bytes'] },
])

const moto_differences: Difference[] = [
  {
    reason: 'moto runs concurrent requests into each other',
    sometimes: true,
    tests: [
      'moves amounts between documents without losing any',
      'loses no increment of many at once',
      'lets exactly one of many create a document',
    ],
  },
]

if (hasMoto()) onEmulator('moto', startMoto, moto_differences)
else describe('records on moto', () => it.skip('left out: python3 has no moto', () => {}))

/** Amazon's own emulator, where a folder with its jar is given. */
const { DYNAMODB_LOCAL_HOME } = process.env
if (DYNAMODB_LOCAL_HOME) onEmulator('DynamoDB Local', () => startDynamodbLocal(DYNAMODB_LOCAL_HOME), [])
else describe('records on DynamoDB Local', () => it.skip('left out: DYNAMODB_LOCAL_HOME names no folder', () => {}))
