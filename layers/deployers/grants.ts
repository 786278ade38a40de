/** What a deployer's IAM rows may name resources with; all four are CloudFormation tokens or literals, so build ARNs by template string. */
export interface GrantNames {
  /** `aws`, `aws-cn` or `aws-us-gov`. */
  partition: string
  region: string
  account: string
  /** `dev` or `prod`; names of everything a deployer makes begin with `aideploy-<stage>-`, log groups with `/aideploy/<stage>/`. */
  stage: string
}

/** The deployers' verbs as the tables' capabilities name them: `deployers:deploy` … `deployers:reconcile`. */
export type DeployerVerb = 'deploy' | 'invoke' | 'hibernate' | 'activate' | 'undeploy' | 'shift' | 'reconcile'

/**
 * One IAM statement a deployer needs at run time, data beside its code and read when the stacks are synthesised. Actions are exact,
 * never a wildcard. A resource is an ARN, `*` only where the service has no resource-level permission; each wildcard also stands in
 * `lib/wildcards.ts` with its reason.
 */
export interface DeployerGrant {
  /** Letters and digits; unique within the deployer. */
  sid: string
  actions: readonly string[]
  /** Who gets it: functions whose rows name one of these verbs. Absent: every verb but `invoke`. */
  verbs?: readonly DeployerVerb[]
  resources: (names: GrantNames) => string[]
  conditions?: (names: GrantNames) => Record<string, Record<string, string | string[]>>
}
