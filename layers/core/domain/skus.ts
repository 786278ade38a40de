/** Names of prices that code asks for, in one place; what each costs is in the price book. */
export type Architecture = 'arm64' | 'x86_64'

const lambdaPart = { arm64: 'arm64', x86_64: 'x86' } as const satisfies Record<Architecture, string>

/** AWS Lambda by architecture. */
export const lambdaSku = {
  gbSecond: (architecture: Architecture) => `aws/lambda/${lambdaPart[architecture]}/gb-second`,
  provisioned: (architecture: Architecture) => `aws/lambda/${lambdaPart[architecture]}/provisioned-concurrency-gb-second`,
  provisionedDuration: (architecture: Architecture) => `aws/lambda/${lambdaPart[architecture]}/provisioned-duration-gb-second`,
  request: 'aws/lambda/request',
  ephemeral: 'aws/lambda/ephemeral-storage-gb-second',
} as const

export const networkOutSku = 'aws/data-transfer/out/gb'

/** SageMaker endpoints. Serverless memory comes in whole gigabytes, 1–6; provisioned and on-demand have prices of their own. */
export const sagemakerSku = {
  serverlessSecond: (memory_gb: number) => `aws/sagemaker/serverless/${memory_gb}gb/second`,
  serverlessProvisionedSecond: (memory_gb: number) => `aws/sagemaker/serverless/${memory_gb}gb/provisioned-second`,
  serverlessProvisionedUseSecond: (memory_gb: number) => `aws/sagemaker/serverless/${memory_gb}gb/provisioned-use-second`,
  serverlessData: 'aws/sagemaker/serverless/data-gb',
  hostingHour: (instance_type: string) => `aws/sagemaker/real-time/${instance_type}/hour`,
  hostingDataIn: 'aws/sagemaker/real-time/data-in-gb',
  hostingDataOut: 'aws/sagemaker/real-time/data-out-gb',
  processingHour: (instance_type: string) => `aws/sagemaker/processing/${instance_type}/hour`,
  trainingHour: (instance_type: string) => `aws/sagemaker/training/${instance_type}/hour`,
} as const

/** Storage classes a model file may lie in. */
export type StorageClassName = 'standard' | 'intelligent-tiering' | 'standard-ia' | 'glacier-ir'
export const storedSku = (storage: StorageClassName): string => `aws/s3/${storage}/gb-month`
