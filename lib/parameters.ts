import * as z from 'zod'

/**
 * Every parameter of a stage: its schema, what it means and what it costs a month at list price in us-east-1. The stacks read the
 * parsed values, `docs/deploy.md` shows the table, and a test compares the two. Given as CDK context: `-c name=value`, where lists and
 * objects are JSON, or in the `context` of `cdk.json`.
 */
export interface Parameter<Schema extends z.ZodType = z.ZodType> {
  schema: Schema
  summary: string
  costs: string
}

const parameter = <Schema extends z.ZodType>(schema: Schema, summary: string, costs: string): Parameter<Schema> => ({
  schema,
  summary,
  costs,
})

/** `-c` hands over text; what looks like JSON becomes what it says. */
const given = <Schema extends z.ZodType>(schema: Schema) => z.preprocess(fromText, schema)
const fromText = (value: unknown): unknown => {
  if (typeof value !== 'string') return value
  if (value === 'true' || value === 'false') return value === 'true'
  if (!/^\s*[[{]/.test(value)) return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

const yesOrNo = 'wanted true or false'
const Switch = given(z.boolean(yesOrNo).default(false))
const Email = z.email('wanted an e-mail address')
const Domain = z.string().regex(/^([a-z0-9-]+\.)+[a-z]{2,}$/, 'wanted a domain name, e.g. api.example.org')
const Certificate = z
  .string()
  .regex(/^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[\w-]+$/, 'wanted the ARN of an ACM certificate')
const Url = z.url({ protocol: /^https?$/, error: 'wanted an address, e.g. https://app.example.org' })

/** The retentions that CloudWatch Logs knows. */
const retentions = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]

/** Parts of AWS resource names that services refuse or keep to themselves. */
const reserved = /^(aws|amazon|cognito|cdk|default|all)/

export const parameters = {
  stage: parameter(
    z
      .string()
      .regex(/^[a-z][a-z0-9]{1,11}$/, 'wanted 2 to 12 lower-case letters and digits, a letter first')
      .refine(
        (name) => !reserved.test(name),
        'is reserved; wanted a name that does not begin with aws, amazon, cognito, cdk, default or all',
      )
      .default('dev'),
    'Part of every name. `prod` means `protect=true` and larger limits',
    '0',
  ),
  account: parameter(
    z
      .string()
      .regex(/^\d{12}$/, 'wanted 12 digits')
      .optional(),
    'Account to deploy to; without it, the one of the credentials in use',
    '0',
  ),
  region: parameter(
    z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'wanted a region, e.g. us-east-1')
      .optional(),
    'Region to deploy to; without it, the one of the credentials in use',
    '0',
  ),
  protect: parameter(
    given(z.boolean(yesOrNo).optional()),
    'Table, buckets, user pool and stacks refuse deletion; default: only for `prod`',
    '0',
  ),
  logRetentionDays: parameter(
    z.coerce
      .number()
      .refine((days) => retentions.includes(days), `wanted one of ${retentions.join(', ')}`)
      .optional(),
    'How long logs stay; 14, in `prod` 90',
    '$0.50 per GB written, $0.03 per GB and month kept',
  ),
  corsOrigins: parameter(
    z.preprocess(
      (value) =>
        typeof value === 'string'
          ? value
              .split(',')
              .map((origin) => origin.trim())
              .filter((origin) => origin !== '')
          : value,
      z.array(Url).default([]),
    ),
    'Origins of browser applications, comma-separated; none by default',
    '0',
  ),
  requestsPerSecond: parameter(
    z.coerce.number().int().min(1).max(10_000).optional(),
    'What the gateway lets through, with bursts of twice as many; 100, in `prod` 1,000',
    '0',
  ),
  kmsKey: parameter(Switch, 'A customer-managed key encrypts records and artifacts', '$1 and $0.03 per 10,000 calls'),
  vpc: parameter(
    Switch,
    'Functions that need no service without an endpoint run in a VPC of two zones, with endpoints and without a NAT gateway',
    '$7.30 per interface endpoint and zone; see the table of the rest cost',
  ),
  replicaRegion: parameter(
    z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'wanted a region, e.g. eu-west-1')
      .optional(),
    'Records are replicated there (global table), artifacts too when `replicaBucketArn` is set',
    'as much again for stored bytes and writes',
  ),
  replicaBucketArn: parameter(
    z
      .string()
      .regex(/^arn:aws[a-z-]*:s3:::[a-z0-9.-]{3,63}$/, 'wanted the ARN of a bucket')
      .optional(),
    'A versioned bucket in `replicaRegion` that receives a copy of every artifact',
    '$0.023 per GB, $0.02 per GB copied',
  ),
  customDomain: parameter(
    given(z.strictObject({ name: Domain, certificateArn: Certificate, hostedZoneId: z.string().optional() }).optional()),
    'Name of the API: `{"name":"api.example.org","certificateArn":"arn:…","hostedZoneId":"Z…"}`; without a zone, point a CNAME at the output `ApiDomainTarget`',
    '0 ($0.50 for the hosted zone)',
  ),
  webDomain: parameter(
    given(z.strictObject({ name: Domain, certificateArn: Certificate }).optional()),
    'Name of the dashboard’s site; its certificate stands in us-east-1',
    '0',
  ),
  web: parameter(
    Switch,
    'CloudFront and a bucket for the dashboard; until that is published, `/` leads to the API’s documentation',
    '0 within 1 TB',
  ),
  waf: parameter(
    Switch,
    'AWS WAF in front of the API: the managed common rules and a limit per address',
    '$7 and $0.60 per million requests',
  ),
  wafRequestsPer5Minutes: parameter(
    z.coerce.number().int().min(100).max(2_000_000_000).default(5000),
    'What one address may ask for when `waf` is on',
    '0',
  ),
  xray: parameter(Switch, 'Traces of requests and pipelines', '$5 per million traces'),
  gatewayAuthorizer: parameter(
    Switch,
    'A function at the gateway turns away calls without a valid token or key before any other runs; keys then come as `Authorization: Bearer ak_…`',
    'one more Lambda request per caller and minute',
  ),
  hostedSignIn: parameter(
    given(
      z
        .strictObject({
          prefix: z
            .string()
            .regex(/^[a-z0-9](-?[a-z0-9])*$/, 'wanted lower-case letters, digits and single hyphens')
            .refine((prefix) => !/aws|amazon|cognito/.test(prefix), 'may not contain aws, amazon or cognito'),
          callbackUrls: z.array(Url).min(1),
          logoutUrls: z.array(Url).default([]),
        })
        .optional(),
    ),
    'Cognito’s sign-in page: `{"prefix":"acme-ai","callbackUrls":["https://app.example.org/signed-in"]}`',
    '0 up to 10,000 users a month',
  ),
  oidcIssuers: parameter(
    given(
      z
        .array(
          z.strictObject({
            issuer: z.url({ protocol: /^https$/, error: 'wanted an https address, e.g. https://login.example.org' }),
            audience: z.string().min(1),
            username_claim: z.string().min(1).default('email'),
            authorized_parties: z.array(z.string().min(1)).min(1).optional(),
            organization_id: z.string().min(1).optional(),
          }),
        )
        .default([]),
    ),
    'Other issuers whose tokens count: `[{"issuer":"https://login.example.org","audience":"ai-deploy","username_claim":"email"}]`',
    '0',
  ),
  mailFrom: parameter(
    z
      .string()
      .regex(/^([^<>@]+<)?[^\s<>@]+@[^\s<>@]+>?$/, 'wanted an address, e.g. AI Deploy <ai@example.org>')
      .optional(),
    'Sender of mail, an address verified in SES; without it no report can be sent',
    '$0.10 per 1,000 messages',
  ),
  rolloutSeconds: parameter(
    z.coerce.number().int().min(0).max(300).default(60),
    'How long a new revision gets a tenth of the requests and is watched, where its deployment does not say `rollout_seconds`',
    '0',
  ),
  mostMemoryMb: parameter(
    z.coerce.number().int().min(1024).max(10_240).default(10_240),
    'Most memory a function of the platform gets, in MB. AWS refuses more than 3,008 to some new accounts until their quota is raised; then models above about 300 MB are too large for a step',
    '0',
  ),
  trainingSpot: parameter(
    given(z.boolean(yesOrNo).default(true)),
    'Training longer than a step asks for Spot instances first, which may be taken away and then go on from their checkpoint; on demand where there are none',
    'saves up to 90 % of what training costs; nothing without training',
  ),
  archiveAfterDays: parameter(
    z.coerce.number().int().min(1).default(90),
    'Models nobody used for so long move to a colder storage class',
    'saves $0.019 per GB',
  ),
  deleteAfterDays: parameter(
    z.coerce.number().int().min(30).optional(),
    'Models nobody used for so long are deleted, seven days after that was announced; never by default',
    'saves the rest',
  ),
  monthlyBudgetUsd: parameter(
    z.coerce.number().positive().optional(),
    'AWS Budgets writes to `alarmEmail` at 80 % of it and when the forecast exceeds it',
    '0 for the first two budgets of an account',
  ),
  alarmEmail: parameter(
    Email.optional(),
    'Where alarms and budget warnings go; the address confirms once',
    '0 for the first 1,000',
  ),
  alarms: parameter(
    given(z.boolean(yesOrNo).default(true)),
    'Alarms on server errors, on what failed for good, on old prices',
    '$0.10 per metric',
  ),
  dashboard: parameter(Switch, 'A CloudWatch dashboard', '$3 beyond the account’s first three'),
  pointInTimeDays: parameter(
    z.coerce.number().int().min(1).max(35).default(35),
    'How far back the table can be restored',
    '$0.20 per GB',
  ),
  detailedMetrics: parameter(Switch, 'Gateway metrics per method', '$0.30 per metric, five for every method in use'),
} as const satisfies Record<string, Parameter>

export type ParameterName = keyof typeof parameters
