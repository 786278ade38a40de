import type { APIGatewayAuthorizerResult, APIGatewayRequestAuthorizerEvent } from 'aws-lambda'
import { app } from '#app'
import { isPlatformError } from '../../layers/core/contract/errors.ts'
import type { Principal } from '../../layers/core/domain/principal.ts'
import { authenticate } from '../../layers/core/usecases/authenticate.ts'

/**
 * API Gateway's REQUEST authorizer, for stages that want calls without a valid token or key turned away before a function runs. It only
 * proves the caller; roles and policies are judged by the function that answers. What it answers is kept by the gateway for a minute per
 * `Authorization` header.
 */
export const handler = async (event: APIGatewayRequestAuthorizerEvent): Promise<APIGatewayAuthorizerResult> => {
  try {
    const principal = await authenticate(app, {
      authorization: headerOf(event, 'authorization'),
      api_key: headerOf(event, 'x-api-key'),
      source_ip: event.requestContext.identity.sourceIp,
    })
    return allowed(event.methodArn, principal)
  } catch (error) {
    if (!isPlatformError(error, 'unauthenticated') && !isPlatformError(error, 'token_expired')) throw error
    // The one text that makes the gateway answer 401; any other is a 500.
    throw new Error('Unauthorized', { cause: error })
  }
}

const headerOf = ({ headers }: APIGatewayRequestAuthorizerEvent, wanted: string): string | undefined =>
  Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === wanted)?.[1]

/**
 * For every method of this API stage, because the gateway keeps the answer for whatever the caller asks next: a policy for this method
 * alone would refuse the next one for a minute.
 */
const allowed = (methodArn: string, { policy, ...principal }: Principal): APIGatewayAuthorizerResult => ({
  principalId: `${principal.organization_id}/${principal.id}`,
  policyDocument: {
    Version: '2012-10-17',
    Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: wholeStage(methodArn) }],
  },
  context: { principal: JSON.stringify({ ...principal, restricted: policy !== undefined }) },
})

/** `arn:…:<api>/<stage>/<method>/<path>` → `arn:…:<api>/<stage>/*`. */
const wholeStage = (methodArn: string): string => `${methodArn.split('/').slice(0, 2).join('/')}/*`
