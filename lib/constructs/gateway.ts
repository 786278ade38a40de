import { CfnOutput, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import {
  AccessLogFormat,
  EndpointType,
  LogGroupLogDestination,
  MethodLoggingLevel,
  RestApi,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigateway'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { ARecord, HostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53'
import { ApiGateway } from 'aws-cdk-lib/aws-route53-targets'
import type { Construct } from 'constructs'
import { names } from '../names.ts'
import type { Stage } from '../stage.ts'

/** What the platform reads of a request beside its path and body; a browser asks before it sends any of them. */
const readHeaders = [
  ...['authorization', 'content-type', 'idempotency-key', 'inference-header-content-length', 'x-api-key', 'x-request-id'],
  'x-scale-up-timeout',
]

/** One regional REST API, the kind that can stream answers, with its access log. */
export const gateway = (scope: Construct, stage: Stage): RestApi => {
  const accessLog = new LogGroup(scope, 'access-log', {
    logGroupName: names(stage).logGroup('access'),
    retention: stage.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  return new RestApi(scope, 'api', {
    restApiName: `aideploy-${stage.name}`,
    endpointTypes: [EndpointType.REGIONAL],
    binaryMediaTypes: ['multipart/form-data', 'application/octet-stream'],
    // An account that never had a gateway may not log; role and setting are shared by all its gateways, so both outlive this one.
    cloudWatchRole: true,
    cloudWatchRoleRemovalPolicy: RemovalPolicy.RETAIN,
    ...(stage.corsOrigins.length === 0
      ? {}
      : {
          defaultCorsPreflightOptions: { allowOrigins: stage.corsOrigins, allowHeaders: readHeaders, maxAge: Duration.hours(1) },
        }),
    deployOptions: {
      stageName: stage.name,
      throttlingRateLimit: stage.throttle.rateLimit,
      throttlingBurstLimit: stage.throttle.burstLimit,
      metricsEnabled: stage.detailedMetrics,
      loggingLevel: MethodLoggingLevel.ERROR,
      dataTraceEnabled: false,
      tracingEnabled: stage.xray,
      accessLogDestination: new LogGroupLogDestination(accessLog),
      accessLogFormat: AccessLogFormat.jsonWithStandardFields(),
    },
  })
}

/** Where callers reach it. Of the gateway only its id, so that functions can be told before their methods exist. */
export const publicUrlOf = (api: RestApi, stage: Stage): string => {
  const { region, urlSuffix } = Stack.of(api)
  return stage.customDomain === undefined
    ? `https://${api.restApiId}.execute-api.${region}.${urlSuffix}/${stage.name}`
    : `https://${stage.customDomain.name}`
}

export const customDomain = (scope: Construct, api: RestApi, { customDomain: wanted }: Stage): void => {
  if (wanted === undefined) return
  const domain = api.addDomainName('domain', {
    domainName: wanted.name,
    certificate: Certificate.fromCertificateArn(scope, 'certificate', wanted.certificateArn),
    endpointType: EndpointType.REGIONAL,
    securityPolicy: SecurityPolicy.TLS_1_2,
  })
  new CfnOutput(scope, 'ApiDomainTarget', { value: domain.domainNameAliasDomainName, description: 'Point a CNAME here' })
  if (wanted.hostedZoneId === undefined) return
  const zone = HostedZone.fromHostedZoneAttributes(scope, 'zone', {
    hostedZoneId: wanted.hostedZoneId,
    zoneName: wanted.name.split('.').slice(1).join('.'),
  })
  new ARecord(scope, 'record', { zone, recordName: `${wanted.name}.`, target: RecordTarget.fromAlias(new ApiGateway(api)) })
}
