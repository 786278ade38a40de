import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib'
import {
  AuthorizationType,
  IdentitySource,
  type IResource,
  LambdaIntegration,
  type MethodOptions,
  RequestAuthorizer,
  ResponseTransferMode,
  type RestApi,
} from 'aws-cdk-lib/aws-apigateway'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import type { Construct } from 'constructs'
import type { RouteRow } from '../../layers/core/contract/route-row.ts'
import { firewall } from '../constructs/firewall.ts'
import { customDomain, gateway, publicUrlOf } from '../constructs/gateway.ts'
import { platformFunction } from '../constructs/platform-function.ts'
import { problemResponses } from '../constructs/problem-responses.ts'
import type { Parts } from '../parts.ts'
import { awsRoutes, routeUnitName, unitNamed, units } from '../units.ts'

/** Every row of the route table as a method of one regional REST API. */
export class ApiStack extends Stack {
  readonly api: RestApi
  readonly publicUrl: string

  constructor(scope: Construct, id: string, { parts, ...props }: StackProps & { parts: Parts }) {
    super(scope, id, props)
    const { stage } = parts
    this.api = gateway(this, stage)
    this.publicUrl = publicUrlOf(this.api, stage)
    const told = { ...parts, publicUrl: this.publicUrl }
    const functions = new Map(
      units
        .filter(({ kind }) => kind === 'http' || kind === 'stream')
        .map((unit) => [unit.name, platformFunction(this, { unit, ...told })]),
    )
    const authorizer = stage.gatewayAuthorizer ? callerCheck(this, told) : undefined
    const resources = new Map<string, IResource>()
    for (const row of awsRoutes) {
      const handler = functions.get(routeUnitName(row.function, row.transfer === 'stream'))
      if (handler === undefined) throw new Error(`No function serves ${row.id}`)
      resourceAt(this.api.root, row.path, resources).addMethod(row.method, integration(handler, row.transfer === 'stream'), {
        operationName: row.id,
        ...access(row, authorizer),
      })
    }
    problemResponses(this.api, stage)
    customDomain(this, this.api, stage)
    if (stage.waf) firewall(this, this.api, stage)
    new CfnOutput(this, 'ApiUrl', { value: this.publicUrl, description: 'Where callers reach the platform' })
  }
}

/**
 * Turns away what carries no valid token or key before another function runs. Its answer covers the whole API and is kept for a minute
 * per credential; every function proves the caller again, so nothing depends on it.
 */
const callerCheck = (scope: Construct, parts: Parts): RequestAuthorizer =>
  new RequestAuthorizer(scope, 'callers', {
    handler: platformFunction(scope, { unit: unitNamed('authorizer'), ...parts }),
    identitySources: [IdentitySource.header('Authorization')],
    resultsCacheTtl: Duration.minutes(1),
  })

/** Rows that anybody may call, or whose deployment may say so, are not for the gateway to judge. */
const access = (row: RouteRow, authorizer: RequestAuthorizer | undefined): MethodOptions =>
  authorizer === undefined || row.role === 'anonymous' || row.role === 'endpoint'
    ? { authorizationType: AuthorizationType.NONE }
    : { authorizer, authorizationType: AuthorizationType.CUSTOM }

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
