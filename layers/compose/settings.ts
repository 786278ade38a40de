import { resolve } from 'node:path'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { OidcIssuersText } from '../identity/oidc-issuer.ts'

const Whole = (fallback: number, least: number) => z.coerce.number().int().min(least).default(fallback)

/** What the embedded host reads from its environment; an empty variable counts as absent. */
export const Settings = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  HOST: z.string().default('127.0.0.1'),
  AIDEPLOY_HOME: z
    .string()
    .default('./.aideploy')
    .transform((path) => resolve(path)),
  AIDEPLOY_ADMIN_PASSWORD: z.string().min(10, 'wanted at least 10 characters').optional(),
  AIDEPLOY_PUBLIC_URL: z
    .url({ protocol: /^https?$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  AIDEPLOY_MAX_UPLOAD_BYTES: Whole(5_000_000_000, 1),
  AIDEPLOY_WAKE_WAIT_MS: Whole(20_000, 0),
  AIDEPLOY_EXTENSIONS: z
    .string()
    .default('')
    .transform((list) =>
      list
        .split(',')
        .map((path) => path.trim())
        .filter((path) => path !== ''),
    ),
  AIDEPLOY_ARCHIVE_AFTER_DAYS: Whole(90, 1),
  AIDEPLOY_DELETE_AFTER_DAYS: z.coerce.number().int().min(1).optional(),
  /** Off, because nobody asked for outgoing calls: on, the vendors' public price lists are read once a day. */
  AIDEPLOY_PRICE_REFRESH: z.stringbool().default(false),
  /** For Google's price list, which is not read without one. */
  AIDEPLOY_GCP_API_KEY: z.string().optional(),
  /** JSON list of issuers whose tokens count too, e.g. `[{"issuer":"https://login.example.org","audience":"ai-deploy"}]`. */
  AIDEPLOY_OIDC_ISSUERS: OidcIssuersText,
  AIDEPLOY_SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
  AIDEPLOY_MAIL_FROM: z.string().default('AI Deploy <aideploy@localhost>'),
})
export type Settings = z.infer<typeof Settings>

/** A mail server's URL holds its password. */
const secret_names = /PASSWORD|SMTP_URL|API_KEY/

/** Fails naming the variable, what it got (never a password) and what was wanted. */
export const readSettings = (environment: Record<string, string | undefined>): Settings => {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''))
  const parsed = Settings.safeParse(given)
  if (parsed.success) return parsed.data
  const wrong = parsed.error.issues.map(({ path, message }) => {
    const name = String(path[0])
    return `${name}=${secret_names.test(name) ? '…' : given[name]}: ${message}`
  })
  throw new PlatformError('invalid_request', `The environment is not as wanted: ${wrong.join('; ')}`)
}
