import type { IndexName } from '../core/ports/records.ts'

/**
 * The DynamoDB table as data: `lib/` provisions it and the tests create it. All key attributes are strings; the indexes are sparse
 * and project everything. Documents lie flat (`Row` in documents.ts), the body as JSON text, so that a number, a depth or an empty
 * name means the same in both stores.
 */
export const recordsTable = {
  key: { pk: 'pk', sk: 'sk' },
  /** Number of Unix seconds; DynamoDB deletes up to days late, so reads and conditions look at it too. */
  ttl: 'expires_at',
  indexes: {
    lookup: { pk: 'lookup_pk', sk: 'lookup_sk' },
    worklist: { pk: 'worklist_pk', sk: 'worklist_sk' },
  },
} as const satisfies { key: { pk: string; sk: string }; ttl: string; indexes: Record<IndexName, { pk: string; sk: string }> }
