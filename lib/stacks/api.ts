import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import {
  AccessLogFormat,
  EndpointType,
  GatewayResponse,
  type IResource,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  ResponseTransferMode,
  ResponseType,
  RestApi,
} from 'aws-cdk-lib/aws-apigateway'
import type { Code, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import { platformFunction } from '../constructs/platform-function.ts'
import type { Stage } from '../stage.ts'
import { awsRoutes, routeUnitName, units } from '../units.ts'
import type { Data } from './data.ts'

interface ApiProps extends StackProps {
  readonly stage: Stage
  readonly data: Data
  readonly code: Code
}

/** Every row of the route table as a method of one regional REST API (the kind that can stream answers). */
export class ApiStack extends Stack {
  constructor(scope: Construct, id: string, { stage, data, code, ...props }: ApiProps) {
    super(scope, id, props)
    const functions = new Map(
      units
        .filter(({ kind }) => kind === 'http' || kind === 'stream')
        .map((unit) => [unit.name, platformFunction(this, { unit, stage, data, code })]),
    )
    const api = restApi(this, stage)
    const resources = new Map<string, IResource>()
    for (const row of awsRoutes) {
      const handler = functions.get(routeUnitName(row.function, row.transfer === 'stream'))
      if (handler === undefined) throw new Error(`No function serves ${row.id}`)
      resourceAt(api.root, row.path, resources).addMethod(row.method, integration(handler, row.transfer === 'stream'), {
        operationName: row.id,
      })
    }
    problemResponses(api)
  }
}

const restApi = (scope: Construct, stage: Stage): RestApi =>
  new RestApi(scope, 'api', {
    restApiName: `aideploy-${stage.name}`,
    endpointTypes: [EndpointType.REGIONAL],
    binaryMediaTypes: ['multipart/form-data', 'application/octet-stream'],
    minCompressionSize: undefined,
    ...(stage.corsOrigins.length === 0
      ? {}
      : { defaultCorsPreflightOptions: { allowOrigins: stage.corsOrigins, maxAge: Duration.hours(1) } }),
    deployOptions: {
      stageName: stage.name,
      throttlingRateLimit: stage.throttle.rateLimit,
      throttlingBurstLimit: stage.throttle.burstLimit,
      metricsEnabled: true,
      loggingLevel: MethodLoggingLevel.ERROR,
      dataTraceEnabled: false,
      accessLogDestination: new LogGroupLogDestination(
        new LogGroup(scope, 'access-log', {
          retention: stage.logRetentionDays as RetentionDays,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      ),
      accessLogFormat: AccessLogFormat.jsonWithStandardFields(),
    },
  })

/** Permissions per function, not per method: 40 methods would otherwise bring 80 permission resources. */
const integration = (handler: LambdaFunction, streams: boolean): LambdaIntegration =>
  new LambdaIntegration(handler, {
    scopePermissionToMethod: false,
    ...(streams ? { responseTransferMode: ResponseTransferMode.STREAM, timeout: Duration.minutes(5) } : {}),
  })

const resourceAt = (root: IResource, path: string, known: Map<string, IResource>): IResource => {
  let at = root
  let walked = ''
  for (const segment of path.split('/').slice(1)) {
    walked += `/${segment}`
    const next = known.get(walked) ?? at.addResource(segment)
    known.set(walked, next)
    at = next
  }
  return at
}

/** What the gateway refuses by itself also answers as a problem document. */
const problemResponses = (api: RestApi): void => {
  const answers: [string, ResponseType, number, string, string, string][] = [
    [
      'too-large',
      ResponseType.REQUEST_TOO_LARGE,
      413,
      'use_upload_parts',
      'Use upload in parts',
      'The body exceeds what the gateway takes; announce an upload in parts with POST /models as JSON',
    ],
    ['throttled', ResponseType.THROTTLED, 429, 'rate_limited', 'Too many requests', 'The rate limit of this API is reached'],
    ['missing', ResponseType.MISSING_AUTHENTICATION_TOKEN, 404, 'not_found', 'Not found', 'There is no such path'],
    ['failed', ResponseType.DEFAULT_5XX, 500, 'internal', 'Internal error', 'The platform failed to answer this request'],
  ]
  for (const [id, type, status, code, title, detail] of answers)
    new GatewayResponse(api, id, {
      restApi: api,
      type,
      statusCode: String(status),
      responseHeaders: { 'content-type': "'application/problem+json'" },
      templates: {
        'application/json': JSON.stringify({
          type: 'about:blank',
          title,
          status,
          detail,
          code,
          errors: [],
          request_id: '$context.requestId',
        }),
      },
    })
}
