import {
  CreateRoleCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  ListRolePoliciesCommand,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam'
import { awsCode } from '../../aws/failure.ts'
import type { Deployment } from '../../core/domain/deployment.ts'
import { functionName, POLICY, rolePath, tagList } from './names.ts'
import type { LambdaParts, RemovalParts } from './parts.ts'
import { orAbsent } from './patience.ts'
import { rolePolicy, sameDocument, trustPolicy } from './policy.ts'

type Owned = Pick<Deployment, 'id' | 'organization_id' | 'record_requests'>

/** Makes the deployment's role what it should be; answers its ARN and what had to be changed. */
export const ensureRole = async (parts: LambdaParts, owned: Owned): Promise<{ arn: string; repaired: string[] }> => {
  const name = functionName(parts.stage, owned.id)
  const found = await orAbsent(parts.iam().send(new GetRoleCommand({ RoleName: name })))
  const repaired: string[] = []
  const arn = found?.Role?.Arn ?? (await createRole(parts, owned))
  if (!found) repaired.push('role made')
  if (found && found.Role?.PermissionsBoundary?.PermissionsBoundaryArn !== parts.boundary_arn) {
    await parts.iam().send(new PutRolePermissionsBoundaryCommand({ RoleName: name, PermissionsBoundary: parts.boundary_arn }))
    repaired.push("role's permissions boundary set")
  }
  if (found && !sameDocument(documentIn(found.Role?.AssumeRolePolicyDocument), trustPolicy(parts))) {
    const PolicyDocument = JSON.stringify(trustPolicy(parts))
    await parts.iam().send(new UpdateAssumeRolePolicyCommand({ RoleName: name, PolicyDocument }))
    repaired.push("role's trust policy set")
  }
  return { arn, repaired: [...repaired, ...(await ensurePolicies(parts, owned, name))] }
}

const createRole = async (parts: LambdaParts, owned: Owned): Promise<string> => {
  const RoleName = functionName(parts.stage, owned.id)
  const wanted = new CreateRoleCommand({
    RoleName,
    Path: rolePath(parts.stage),
    Description: `Serves deployment ${owned.id} of AI Deploy`,
    AssumeRolePolicyDocument: JSON.stringify(trustPolicy(parts)),
    PermissionsBoundary: parts.boundary_arn,
    Tags: tagList(parts.stage, owned),
  })
  try {
    return (await parts.iam().send(wanted)).Role?.Arn ?? ''
  } catch (error) {
    // Another run made it between the look and the call, or an answer was lost.
    if (!awsCode(error).startsWith('EntityAlreadyExists')) throw error
    return (await parts.iam().send(new GetRoleCommand({ RoleName }))).Role?.Arn ?? ''
  }
}

/** One inline policy, ours; any other goes. */
const ensurePolicies = async (parts: LambdaParts, owned: Owned, RoleName: string): Promise<string[]> => {
  const wanted = rolePolicy(parts, owned)
  const { PolicyNames = [] } = await parts.iam().send(new ListRolePoliciesCommand({ RoleName }))
  const repaired: string[] = []
  const known = PolicyNames.includes(POLICY)
    ? await orAbsent(parts.iam().send(new GetRolePolicyCommand({ RoleName, PolicyName: POLICY })))
    : undefined
  if (!sameDocument(documentIn(known?.PolicyDocument), wanted)) {
    const PolicyDocument = JSON.stringify(wanted)
    await parts.iam().send(new PutRolePolicyCommand({ RoleName, PolicyName: POLICY, PolicyDocument }))
    repaired.push("role's policy set")
  }
  for (const PolicyName of PolicyNames.filter((one) => one !== POLICY)) {
    await orAbsent(parts.iam().send(new DeleteRolePolicyCommand({ RoleName, PolicyName })))
    repaired.push(`role's policy ${PolicyName} removed`)
  }
  return repaired
}

/** IAM answers documents percent-encoded. */
const documentIn = (text: string | undefined): unknown => {
  try {
    return text === undefined ? undefined : JSON.parse(text.startsWith('%') ? decodeURIComponent(text) : text)
  } catch {
    return undefined
  }
}

/** Absent is fine; a role cannot go before its policies. */
export const removeRole = async (parts: Pick<RemovalParts, 'iam' | 'stage'>, deployment_id: string): Promise<void> => {
  const RoleName = functionName(parts.stage, deployment_id)
  const held = await orAbsent(parts.iam().send(new ListRolePoliciesCommand({ RoleName })))
  for (const PolicyName of held?.PolicyNames ?? [])
    await orAbsent(parts.iam().send(new DeleteRolePolicyCommand({ RoleName, PolicyName })))
  await orAbsent(parts.iam().send(new DeleteRoleCommand({ RoleName })))
}
