import { clientSettings } from '../../aws/client-settings.ts'
import type { Events } from '../../core/ports/events.ts'
import type { Identity } from '../../core/ports/identity.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Mail } from '../../core/ports/mail.ts'
import type { PriceSource } from '../../core/ports/price-source.ts'
import type { Secrets } from '../../core/ports/secrets.ts'
import type { Workflows } from '../../core/ports/workflows.ts'
import { withOidc } from '../../identity/oidc.ts'
import { lazyPort } from '../lazy-port.ts'
import { environment, wanted } from './environment.ts'
import { now, records } from './stores.ts'

/** The ports that an AWS service stands behind. */

const cognito: Identity = lazyPort(async () => {
  const [{ cognitoIdentity }, { CognitoIdentityProviderClient }] = await Promise.all([
    import('../../identity/cognito.ts'),
    import('@aws-sdk/client-cognito-identity-provider'),
  ])
  const { AIDEPLOY_USER_POOL_ISSUER: issuer, AIDEPLOY_USER_POOL_JWKS_URI: jwks_uri } = environment
  return cognitoIdentity({
    user_pool_id: wanted('AIDEPLOY_USER_POOL_ID', 'identity'),
    client_id: wanted('AIDEPLOY_USER_POOL_CLIENT_ID', 'identity'),
    region: environment.AWS_REGION,
    ...(issuer !== undefined && { issuer }),
    ...(jwks_uri !== undefined && { jwks_uri }),
    records,
    now,
    client: () => new CognitoIdentityProviderClient(clientSettings),
  })
}, ['signIn', 'verify', 'enrol', 'setPassword', 'checkPassword', 'forget', 'publicKeys', 'rotateKeys'])

export const identity: Identity = withOidc(cognito, { issuers: environment.AIDEPLOY_OIDC_ISSUERS, records, now })

export const workflows: Workflows = lazyPort(async () => {
  const [{ stepFunctionsWorkflows }, { SFNClient }] = await Promise.all([
    import('../../workflows/step-functions.ts'),
    import('@aws-sdk/client-sfn'),
  ])
  const prefix = wanted('AIDEPLOY_MACHINE_ARN_PREFIX', 'workflows')
  return stepFunctionsWorkflows({
    client: () => new SFNClient(clientSettings),
    machine_arn: (pipeline) => `${prefix}${pipeline}`,
    records,
    now,
  })
}, ['start', 'status', 'cancel'])

export const secrets: Secrets = lazyPort(async () => {
  const [{ secretsManagerSecrets }, { SecretsManagerClient }] = await Promise.all([
    import('../../secrets/secrets-manager.ts'),
    import('@aws-sdk/client-secrets-manager'),
  ])
  return secretsManagerSecrets({
    client: () => new SecretsManagerClient(clientSettings),
    prefix: wanted('AIDEPLOY_SECRETS_PREFIX', 'secrets'),
    stage: environment.AIDEPLOY_STAGE,
    ...(environment.AIDEPLOY_DATA_KEY_ARN !== undefined && { kms_key_id: environment.AIDEPLOY_DATA_KEY_ARN }),
  })
}, ['get', 'put', 'remove'])

export const mail: Mail = lazyPort(async () => {
  const [{ sesMail }, { SESv2Client }] = await Promise.all([import('../../mail/ses.ts'), import('@aws-sdk/client-sesv2')])
  return sesMail({ client: () => new SESv2Client(clientSettings), from: wanted('AIDEPLOY_MAIL_FROM', 'mail') })
}, ['send'])

const bus = lazyPort<Pick<Events, 'publish'>>(async () => {
  const [{ eventBridgeEvents }, { EventBridgeClient }] = await Promise.all([
    import('../../events/event-bridge.ts'),
    import('@aws-sdk/client-eventbridge'),
  ])
  return eventBridgeEvents({
    client: () => new EventBridgeClient(clientSettings),
    bus: wanted('AIDEPLOY_EVENT_BUS', 'events'),
  })
}, ['publish'])

/** Subscribers are functions of their own behind queues: nobody subscribes in a process. */
export const events: Events = { publish: bus.publish, subscribe: () => undefined }

/** The Price List API answers in three regions only, whatever region its prices are of. */
export const awsPrices = (log: Log, unitOf: (sku: string) => string | undefined): PriceSource => ({
  name: 'aws-price-list',
  every_hours: 24,
  async *prices() {
    const [{ awsPriceList }, { PricingClient }] = await Promise.all([
      import('../../pricing/aws-price-list.ts'),
      import('@aws-sdk/client-pricing'),
    ])
    const client = new PricingClient({ ...clientSettings, region: 'us-east-1' })
    yield* awsPriceList({ client: () => client, now, log, unitOf, regions: regions() }).prices()
  },
})

/** The prices of the region the platform runs in, and those of the list that everything is compared with. */
const regions = (): string[] => [...new Set(['us-east-1', environment.AWS_REGION])]
