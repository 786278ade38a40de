/** A finding of cdk-nag that is meant to be, and why. */
export interface Acknowledgement {
  rule: string
  /** Construct paths it is meant for; all where absent. */
  where?: RegExp
  reason: string
}

const ownProof = 'Every function proves its caller itself, per row; the gateway’s authorizer is an option of the stage'

/** Anything not explained here fails synthesis; a test fails for a row that explains nothing any more. */
export const acknowledgements: readonly Acknowledgement[] = [
  {
    rule: 'AwsSolutions-IAM5',
    reason:
      'Every wildcard resource of every statement stands in lib/wildcards.ts with its own reason; a test fails for any other',
  },
  {
    rule: 'Serverless-LambdaStarPermissions',
    reason: 'Only actions without a resource-level permission, listed in lib/wildcards.ts',
  },
  {
    rule: 'AwsSolutions-IAM4',
    where: /\/api\/CloudWatchRole\//,
    reason: 'The gateway’s account-wide logging role wants exactly this policy (API Gateway developer guide)',
  },
  {
    rule: 'AwsSolutions-COG1',
    reason: 'Ten characters without classes of characters, the rule the platform itself checks (NIST SP 800-63B §5.1.1.2)',
  },
  { rule: 'AwsSolutions-COG2', reason: 'A second factor is each user’s choice; machines sign in with keys' },
  { rule: 'AwsSolutions-COG8', reason: 'Threat protection is priced per user; sign-ins are slowed down by the platform' },
  {
    rule: 'AwsSolutions-APIG2',
    reason:
      'Every handler parses params, query and body with its row’s zod schemas and answers a problem document; gateway models would say the same twice',
  },
  { rule: 'AwsSolutions-APIG3', reason: 'WAF has its own monthly price; a stage turns it on with `waf`' },
  { rule: 'AwsSolutions-APIG4', reason: ownProof },
  { rule: 'AwsSolutions-COG4', reason: ownProof },
  { rule: 'Serverless-APIGWXrayEnabled', reason: 'Traces have a price; a stage turns them on with `xray`' },
  { rule: 'AwsSolutions-SF2', reason: 'Traces have a price; a stage turns them on with `xray`' },
  { rule: 'Serverless-StepFunctionStateMachineXray', reason: 'Traces have a price; a stage turns them on with `xray`' },
  { rule: 'Serverless-LambdaTracing', reason: 'Traces have a price; a stage turns them on with `xray`' },
  {
    rule: 'Serverless-LambdaDLQ',
    reason:
      'Functions that nobody waits for have an on-failure destination, which carries the error too; the gateway, Step Functions and queues wait for the others',
  },
  { rule: 'AwsSolutions-SQS3', where: /failed-runs|dead/, reason: 'This queue is the dead-letter queue' },
  { rule: 'Serverless-SQSRedrivePolicy', where: /failed-runs|dead/, reason: 'This queue is the dead-letter queue' },
  { rule: 'Serverless-SNSRedrivePolicy', reason: 'Mail to a person: SNS repeats it, and the alarm stays visible in CloudWatch' },
  {
    rule: 'AwsSolutions-EC23',
    where: /-network\/endpoints\//,
    reason: 'The range is the network’s own, a token until it is deployed',
  },
  { rule: 'AwsSolutions-CFR1', reason: 'The dashboard is for users everywhere' },
  { rule: 'AwsSolutions-CFR2', reason: 'A static site; the API behind it has its own firewall where `waf` is on' },
  {
    rule: 'AwsSolutions-CFR4',
    reason: 'CloudFront’s own certificate fixes the protocol; a stage with `webDomain` serves TLS 1.2_2021 and later',
  },
  {
    rule: 'Serverless-LambdaEventSourceMappingDestination',
    where: /-messages\//,
    reason: 'A message that fails stays in its queue, which moves it to its own dead-letter queue',
  },
]
