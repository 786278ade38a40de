/** Contexts that between them synthesise everything the stacks can hold. */
export const stages: Record<string, Record<string, string>> = {
  dev: {},
  prod: {
    stage: 'prod',
    region: 'us-east-1',
    account: '123456789012',
    kmsKey: 'true',
    vpc: 'true',
    web: 'true',
    waf: 'true',
    xray: 'true',
    dashboard: 'true',
    gatewayAuthorizer: 'true',
    alarmEmail: 'ops@example.org',
    monthlyBudgetUsd: '100',
    corsOrigins: 'https://app.example.org',
    customDomain:
      '{"name":"api.example.org","certificateArn":"arn:aws:acm:us-east-1:123456789012:certificate/a1","hostedZoneId":"Z1"}',
    hostedSignIn: '{"prefix":"acme-ai","callbackUrls":["https://app.example.org/signed-in"]}',
    oidcIssuers: '[{"issuer":"https://login.example.org","audience":"ai-deploy"}]',
    mailFrom: 'ai@example.org',
    deleteAfterDays: '365',
  },
  replicated: {
    stage: 'eu',
    region: 'eu-central-1',
    replicaRegion: 'eu-west-1',
    replicaBucketArn: 'arn:aws:s3:::acme-replica',
    webDomain: '{"name":"ai.example.org","certificateArn":"arn:aws:acm:us-east-1:123456789012:certificate/a1"}',
    web: 'true',
    alarms: 'false',
  },
}
