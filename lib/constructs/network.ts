import { RemovalPolicy } from 'aws-cdk-lib'
import {
  FlowLogDestination,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { FunctionProps } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import type { Stage } from '../stage.ts'
import type { Unit } from '../units.ts'

export interface Network {
  readonly vpc: Vpc
  readonly functions: SecurityGroup
}

/** Services the functions reach through an interface endpoint; records and artifacts use gateway endpoints, which cost nothing. */
const endpoints = {
  states: InterfaceVpcEndpointAwsService.STEP_FUNCTIONS,
  events: InterfaceVpcEndpointAwsService.EVENTBRIDGE,
  secrets: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
  logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
}

/** Two zones, no way to the internet, and endpoints for what the functions inside need. */
export const network = (scope: Construct, stage: Stage): Network => {
  const vpc = new Vpc(scope, 'network', {
    ipAddresses: IpAddresses.cidr('10.40.0.0/20'),
    maxAzs: 2,
    natGateways: 0,
    restrictDefaultSecurityGroup: false,
    subnetConfiguration: [{ name: 'functions', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 22 }],
    gatewayEndpoints: {
      records: { service: GatewayVpcEndpointAwsService.DYNAMODB },
      artifacts: { service: GatewayVpcEndpointAwsService.S3 },
    },
  })
  const destination = new LogGroup(scope, 'network-flows', {
    retention: stage.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  vpc.addFlowLog('flows', { destination: FlowLogDestination.toCloudWatchLogs(destination) })
  const inside = Peer.ipv4(vpc.vpcCidrBlock)
  const services = new SecurityGroup(scope, 'endpoints', {
    vpc,
    allowAllOutbound: false,
    description: 'Endpoints of AWS services',
  })
  services.addIngressRule(inside, Port.tcp(443), 'The functions')
  const functions = new SecurityGroup(scope, 'functions', {
    vpc,
    allowAllOutbound: false,
    description: 'Functions of the platform',
  })
  functions.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'Endpoints only: the network has no other way out')
  for (const [id, service] of Object.entries(endpoints))
    vpc.addInterfaceEndpoint(id, { service, securityGroups: [services], open: false, privateDnsEnabled: true })
  return { vpc, functions }
}

/**
 * Whether a function can do its work inside. Key sets of issuers, IAM, price lists, mail and the control planes of Lambda and
 * SageMaker are reached over public endpoints, so whoever needs one of them stays outside; its calls are TLS and signed all the same.
 */
export const runsInside = (unit: Unit): boolean =>
  (unit.kind === 'step' || unit.kind === 'schedule' || unit.kind === 'plain') &&
  unit.needs.every((need) => /^((records|artifacts|workflows|events|secrets|onnxruntime):|prices:read$)/.test(need))

export const placement = (
  unit: Unit,
  inside: Network | undefined,
): { props: Partial<FunctionProps>; statements: PolicyStatement[] } =>
  inside === undefined || !runsInside(unit)
    ? { props: {}, statements: [] }
    : {
        props: { vpc: inside.vpc, vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED }, securityGroups: [inside.functions] },
        statements: [new PolicyStatement({ actions: attaching, resources: ['*'] })],
      }

/** What Lambda does with a function's role to attach it to subnets; it calls them before any of our code runs. */
const attaching = [
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
]
