import type { RestApi } from 'aws-cdk-lib/aws-apigateway'
import { CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2'
import type { Construct } from 'constructs'
import type { Stage } from '../stage.ts'

const visible = (metricName: string) => ({ cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true, metricName })

/** AWS's common rules and a limit per address. Its limit on body size only counts: models and tensors are large by nature. */
export const firewall = (scope: Construct, api: RestApi, stage: Stage): void => {
  const acl = new CfnWebACL(scope, 'firewall', {
    name: `aideploy-${stage.name}`,
    scope: 'REGIONAL',
    defaultAction: { allow: {} },
    visibilityConfig: visible(`aideploy-${stage.name}`),
    rules: [
      {
        name: 'limit-per-address',
        priority: 0,
        action: { block: {} },
        statement: { rateBasedStatement: { aggregateKeyType: 'IP', limit: stage.wafRequestsPer5Minutes } },
        visibilityConfig: visible('limit-per-address'),
      },
      {
        name: 'common',
        priority: 1,
        overrideAction: { none: {} },
        statement: {
          managedRuleGroupStatement: {
            vendorName: 'AWS',
            name: 'AWSManagedRulesCommonRuleSet',
            ruleActionOverrides: [{ name: 'SizeRestrictions_BODY', actionToUse: { count: {} } }],
          },
        },
        visibilityConfig: visible('common'),
      },
    ],
  })
  new CfnWebACLAssociation(scope, 'firewall-of-api', { resourceArn: api.deploymentStage.stageArn, webAclArn: acl.attrArn })
}
