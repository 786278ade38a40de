import * as z from 'zod'

/** Another issuer whose tokens count. Whoever controls it can be any user of the platform, or of `organization_id` where that is set. */
export const OidcIssuer = z.strictObject({
  /** As its tokens' `iss` and its discovery document spell it, to the last slash. */
  issuer: z.url({ protocol: /^https?$/ }),
  audience: z.string().min(1),
  /** The claim that holds the user name on this platform, e.g. `email` or `preferred_username`. */
  username_claim: z.string().min(1),
  /** Clients whose tokens count where a token names one (`azp`); the audience unless told. */
  authorized_parties: z.array(z.string().min(1)).min(1).optional(),
  organization_id: z.string().min(1).optional(),
  /** The issuer runs on this machine or in a private network, maybe without TLS. */
  allow_private: z.boolean().default(false),
})
export type OidcIssuer = z.infer<typeof OidcIssuer>
export const OidcIssuers = z.array(OidcIssuer).max(10)

/** The issuers as the environment holds them: a JSON list, none when absent. */
export const OidcIssuersText = z
  .string()
  .default('[]')
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      context.addIssue({ code: 'custom', message: 'wanted a JSON list of issuers' })
      return z.NEVER
    }
  })
  .pipe(OidcIssuers)
