import { CfnOutput, CustomResource, Duration, Stack, type StackProps } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { platformFunction } from '../constructs/platform-function.ts'
import type { Parts } from '../parts.ts'
import { unitNamed, units } from '../units.ts'

/**
 * What operators call: the first admin, and the end of all deployments. The stacks that can make deployments are made after this one
 * and go before it, so that when its resource is deleted nothing makes new ones.
 */
export class OperationsStack extends Stack {
  constructor(scope: Construct, id: string, { parts, ...props }: StackProps & { parts: Parts }) {
    super(scope, id, props)
    const admin = platformFunction(this, { unit: unitNamed('first-admin'), ...parts })
    if (units.some(({ name }) => name === 'teardown')) endOfDeployments(this, parts)
    new CfnOutput(this, 'FirstAdminFunction', { value: admin.functionName, description: 'npm run aws:admin calls it' })
  }
}

/** CloudFormation calls the function itself, which answers through the URL in the event, so no provider framework is needed. */
const endOfDeployments = (scope: Construct, parts: Parts): void => {
  const teardown = platformFunction(scope, { unit: unitNamed('teardown'), ...parts })
  const resource = new CustomResource(scope, 'deployments', {
    serviceToken: teardown.functionArn,
    resourceType: 'Custom::Deployments',
    properties: { stage: parts.stage.name },
    serviceTimeout: Duration.minutes(30),
  })
  resource.node.addDependency(teardown)
}
