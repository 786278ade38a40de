import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import * as z from 'zod'
import { startCognito } from '../support/cognito-server.ts'
import { withTransactions } from '../support/dynalite-transactions.ts'
import { createRecordsTable, dynamoClient, type Emulator, s3Client, startDynalite, startS3 } from '../support/emulators.ts'
import { startLambdaCloud } from '../support/lambda-cloud.ts'
import type { LambdaFunction } from '../support/lambda-environments.ts'
import { type LambdaHost, startLambda } from '../support/lambda-runtime.ts'
import { createBucket } from '../support/published-model.ts'
import { startStepFunctions } from '../support/step-functions-server.ts'
import { buildBundles } from './bundles.ts'
import { startBus } from './bus.ts'
import { watchTable } from './changes.ts'
import { frontOf } from './front.ts'
import { startGateway } from './gateway.ts'
import { limitsIn, rolesByCaller, rolesIn } from './iam-roles.ts'
import { evaluator, resourcesOf } from './intrinsics.ts'
import { modelFunctions } from './model-functions.ts'
import { arn, physicalNames } from './physical.ts'
import { binaryTypes, gatewayAnswers, restMethods } from './rest-api.ts'
import { bucketOf, codeOf, functionName, machineArn, type Resources, strings, synthesise } from './synthesise.ts'
import { startWitness, type Witness } from './witness.ts'

/** The platform's stacks as synthesised, on emulators and servers of this machine: every Lambda is the real bundle in a process of its own. */
export interface Cloud {
  url: string
  /** Invokes a function by its unit's name and answers its payload; fails with what the function failed with. */
  invoke(unit: string, event?: object): Promise<unknown>
  /** Everything the platform's functions and the deployments' printed. */
  output(): string
  /** Bucket of the artifacts. */
  bucket: string
  /** The table behind all witnesses. */
  table: { client: ReturnType<typeof dynamoClient>; name: string }
  /** Everything that lies in the table, as text. */
  stored(): Promise<string>
  lambda: Awaited<ReturnType<typeof startLambdaCloud>>
  machines: Awaited<ReturnType<typeof startStepFunctions>>
  bus: Awaited<ReturnType<typeof startBus>>
  /** Evaluated resources of one type in all stacks. */
  ofType: Resources
  /** Names of the functions behind the gateway. */
  behindGateway: string[]
  /** What everybody asked of AWS; only where `witness` was wanted. */
  witness: Witness | undefined
  stop(): Promise<void>
}

export interface CloudWishes {
  /** Parameters of the stage, as the CDK context. */
  context?: Record<string, string>
  /** Every call of AWS passes a witness that judges it by its caller's role. */
  witness?: boolean
  /** Endpoints of further services, e.g. `AWS_ENDPOINT_URL_SESV2`. */
  endpoints?: Record<string, string>
  /** Where a request of the services that deployers share belongs instead, by its body. */
  elsewhere?: (body: string, service: string) => string | undefined
}

const table = 'aideploy-dev-records'

export const startCloud = async (wishes: CloudWishes = {}): Promise<Cloud> => {
  const bundles = await buildBundles()
  const [dynamodb, s3, cognito] = await Promise.all([
    startDynalite().then(withTransactions),
    startS3(),
    startCognito(() => new Date()),
  ])
  const templates = synthesise(bundles.folder, wishes.context)
  const evaluate = evaluator(
    templates,
    physicalNames({
      'AWS::Cognito::UserPool': {
        Ref: cognito.pool.user_pool_id,
        Arn: `arn:aws:cognito-idp:us-east-1:123456789012:userpool/${cognito.pool.user_pool_id}`,
      },
      'AWS::Cognito::UserPoolClient': { Ref: cognito.pool.client_id },
    }),
  )
  const ofType = (type: string) => resourcesOf(templates, evaluate, type)

  const client = dynamoClient(dynamodb.endpoint)
  await createRecordsTable(client, table)
  for (const { logical_id, properties } of ofType('AWS::S3::Bucket'))
    await createBucket(s3Client(s3.endpoint), String(properties.BucketName ?? logical_id.toLowerCase()))

  const functions = new Map<string, LambdaFunction>()
  const witness = wishes.witness
    ? startWitness({
        roles: rolesIn(templates, evaluate),
        roleOf: rolesByCaller(ofType),
        limits: limitsIn(templates, evaluate),
        cloud: () => lambda.state,
      })
    : undefined
  const fronts: Emulator[] = []
  const witnessed = async (endpoint: string): Promise<string> => {
    if (witness === undefined) return endpoint
    const front = await frontOf(endpoint, witness.tell, wishes.elsewhere)
    fronts.push(front)
    return front.endpoint
  }
  const endpoints: Record<string, string> = {
    AWS_ENDPOINT_URL_DYNAMODB: await witnessed(dynamodb.endpoint),
    AWS_ENDPOINT_URL_S3: await witnessed(s3.endpoint),
    AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: await witnessed(cognito.endpoint),
    AIDEPLOY_USER_POOL_JWKS_URI: cognito.pool.jwks_uri,
    // Whatever has no endpoint here must not leave this machine.
    ...{ NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: '127.0.0.1' },
  }
  for (const [name, endpoint] of Object.entries(wishes.endpoints ?? {})) endpoints[name] = await witnessed(endpoint)
  let host: LambdaHost | undefined
  const lambdaHost = (): LambdaHost => {
    if (!host) throw new Error('Lambda is not up yet')
    return host
  }
  const lambda = await startLambdaCloud({
    code: new Set(ofType('AWS::Lambda::Function').flatMap(({ properties }) => codeOf(properties))),
    layers: new Set(
      ofType('AWS::Lambda::LayerVersion').map(({ properties }) => arn('lambda', `layer:${String(properties.LayerName)}:1`)),
    ),
    run: modelFunctions(lambdaHost, functions, bundles.folder, endpoints),
  })
  const lambdaEndpoint = await witnessed(lambda.endpoint)
  for (const service of [
    'LAMBDA',
    'IAM',
    'CLOUDWATCH',
    'CLOUDWATCH_LOGS',
    'APPLICATION_AUTO_SCALING',
    'RESOURCE_GROUPS_TAGGING_API',
  ])
    endpoints[`AWS_ENDPOINT_URL_${service}`] = lambdaEndpoint

  const invoke = async (name: string, event: unknown): Promise<unknown> => {
    const { payload, function_error } = await lambdaHost().invoke(name, event)
    if (function_error) throw Object.assign(new Error(function_error.errorMessage), { name: function_error.errorType })
    return JSON.parse(payload.toString() || 'null')
  }
  const machines = await startStepFunctions({
    machines: new Map(
      ofType('AWS::StepFunctions::StateMachine').map(({ properties }) => [
        machineArn(properties),
        JSON.parse(String(properties.DefinitionString)),
      ]),
    ),
    invoke: (name, event, machine_arn) => {
      witness?.note(machine_arn, { action: 'lambda:InvokeFunction', resource: arn('lambda', `function:${name}`) })
      return invoke(name, event)
    },
  })
  endpoints.AWS_ENDPOINT_URL_SFN = await witnessed(machines.endpoint)

  const mappings = ofType('AWS::Lambda::EventSourceMapping').map(({ properties }) => ({
    source: String(properties.EventSourceArn),
    name: String(properties.FunctionName),
  }))
  const bus = await startBus(
    'aideploy-dev',
    ofType('AWS::Events::Rule').map(({ properties }) => ({
      pattern: Object(properties.EventPattern),
      most_receives: 5,
      deliver: async (event) => {
        const queue = String(Object(Object(properties.Targets)[0]).Arn)
        const reader = mappings.find(({ source }) => source === queue)?.name ?? ''
        const answer = BatchAnswer.parse(await invoke(functionName(reader), event))
        return (answer?.batchItemFailures ?? []).map(({ itemIdentifier }) => itemIdentifier)
      },
    })),
  )
  endpoints.AWS_ENDPOINT_URL_EVENTBRIDGE = await witnessed(bus.endpoint)

  const byLogicalId = new Map(
    ofType('AWS::Lambda::Function').map(({ stack, logical_id, properties }) => [
      `${stack}/${logical_id}`,
      String(properties.FunctionName),
    ]),
  )
  const api = [...templates].find(([name]) => name.endsWith('-api'))
  if (!api) throw new Error('no api stack')
  const [apiStack, apiTemplate] = api
  const inApi = (logical_id: string): string => byLogicalId.get(`${apiStack}/${logical_id}`) ?? logical_id
  const gateway = await startGateway({
    methods: restMethods(apiTemplate),
    answers: gatewayAnswers(apiTemplate),
    binary_types: binaryTypes(apiTemplate),
    invoke: async (logical_id, event) => Proxied.parse(await invoke(inApi(logical_id), event)),
    invokeStream: async (logical_id, event) => {
      const { prelude, body } = await lambdaHost().invokeStream(inApi(logical_id), event)
      return { status: prelude?.statusCode ?? 200, headers: prelude?.headers ?? {}, body }
    },
  })
  endpoints.AIDEPLOY_PUBLIC_URL = gateway.url

  for (const { properties } of ofType('AWS::Lambda::Function')) {
    const name = String(properties.FunctionName)
    const variables = Object(Object(properties.Environment).Variables)
    functions.set(name, {
      folder: bundles.folder,
      handler: String(properties.Handler),
      environment: { ...strings(variables), ...endpoints, AWS_ACCESS_KEY_ID: name },
      timeout_s: Number(properties.Timeout),
      memory_mb: Number(properties.MemorySize),
    })
  }
  host = await startLambda({ functions, most: 16 })
  const changes = watchTable(client, table, async (Records) => {
    await invoke('aideploy-dev-publish-changes', { Records }).catch((error: unknown) =>
      process.stderr.write(`stream: ${String(error)}\n`),
    )
  })

  return {
    url: gateway.url,
    invoke: (unit, event = {}) => invoke(`aideploy-dev-${unit}`, event),
    output: () => [...functions.keys()].flatMap((name) => lambdaHost().logs(name)).join('\n'),
    stored: async () => JSON.stringify((await client.send(new ScanCommand({ TableName: table }))).Items),
    table: { client, name: table },
    bucket: bucketOf(ofType),
    lambda,
    machines,
    bus,
    ofType,
    behindGateway: [...new Set(restMethods(apiTemplate).flatMap((method) => (method.function ? [inApi(method.function)] : [])))],
    witness,
    stop: async () => {
      await changes.stop()
      await gateway.stop()
      await machines.settled()
      await lambdaHost().stop()
      await Promise.all([machines.stop(), bus.stop(), lambda.stop(), ...fronts.map((front) => front.stop())])
      await Promise.all([cognito.stop(), s3.stop(), dynamodb.stop()])
      await bundles.remove()
    },
  }
}

const Proxied = z.object({
  statusCode: z.number(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string(),
  isBase64Encoded: z.boolean().optional(),
})
const BatchAnswer = z.object({ batchItemFailures: z.array(z.object({ itemIdentifier: z.string() })) }).nullable()
