import { DescribeEndpointConfigCommand } from '@aws-sdk/client-sagemaker'
import type { SagemakerParts } from './parts.ts'
import { orAbsent } from './patience.ts'

/** The configuration that hibernation left is gone: somebody removed it, and the revision is brought up from its model. */
export const lacksConfig = async ({ clients }: SagemakerParts, EndpointConfigName: string): Promise<boolean> =>
  (await orAbsent(
    clients.sagemaker().send(new DescribeEndpointConfigCommand({ EndpointConfigName })),
    'Reading the endpoint configuration',
  )) === undefined
