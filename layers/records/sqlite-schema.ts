/**
 * The tables. Text compares by its UTF-8 bytes (BINARY collation), which is DynamoDB's order too.
 * `changes` is filled by triggers, so no write can forget it; its images have the members of `Row`.
 * `now_ms()` is the platform's clock, given by the connection.
 */
const image = (name: 'old' | 'new') =>
  `json_object(${['pk', 'sk', 'version', 'body', 'lookup_pk', 'lookup_sk', 'worklist_pk', 'worklist_sk', 'expires_at'].map((column) => `'${column}', ${name}.${column}`).join(', ')})`

const trigger = (event: 'insert' | 'update' | 'delete', kind: string, key: 'old' | 'new', before: string, after: string) => `
  create trigger if not exists documents_${event} after ${event} on documents begin
    insert into changes (kind, pk, sk, before, after, at_ms) values ('${kind}', ${key}.pk, ${key}.sk, ${before}, ${after}, now_ms());
  end;`

export const schema = `
  create table if not exists documents (
    pk text not null,
    sk text not null,
    version text not null,
    body text not null,
    lookup_pk text,
    lookup_sk text,
    worklist_pk text,
    worklist_sk text,
    expires_at integer,
    primary key (pk, sk)
  ) strict;
  create index if not exists documents_lookup on documents (lookup_pk, lookup_sk, pk, sk) where lookup_pk is not null;
  create index if not exists documents_worklist on documents (worklist_pk, worklist_sk, pk, sk) where worklist_pk is not null;
  create index if not exists documents_expiry on documents (expires_at) where expires_at is not null;
  create table if not exists changes (
    sequence integer primary key autoincrement,
    kind text not null,
    pk text not null,
    sk text not null,
    before text,
    after text,
    at_ms integer not null
  ) strict;
  ${trigger('insert', 'insert', 'new', 'null', image('new'))}
  ${trigger('update', 'modify', 'new', image('old'), image('new'))}
  ${trigger('delete', 'remove', 'old', image('old'), 'null')}
`
export const schema_version = 1
