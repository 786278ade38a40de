import { Stack, type StackProps } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { publishLayers } from '../constructs/runtime-files.ts'
import type { Parts } from '../parts.ts'

/** The native runtime as layers, published before anything that uses them. */
export class RuntimeStack extends Stack {
  constructor(scope: Construct, id: string, { parts, ...props }: StackProps & { parts: Parts }) {
    super(scope, id, props)
    publishLayers(this, parts)
  }
}
