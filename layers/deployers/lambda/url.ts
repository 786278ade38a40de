import {
  AddPermissionCommand,
  type AddPermissionCommandInput,
  CreateFunctionUrlConfigCommand,
  type CreateFunctionUrlConfigCommandInput,
  DeleteFunctionUrlConfigCommand,
  type FunctionUrlConfig,
  GetFunctionUrlConfigCommand,
  GetPolicyCommand,
  UpdateFunctionUrlConfigCommand,
} from '@aws-sdk/client-lambda'
import * as z from 'zod'
import { awsCode } from '../../aws/failure.ts'
import { LIVE } from './names.ts'
import type { LambdaParts, RemovalParts } from './parts.ts'
import { orAbsent, whenFree } from './patience.ts'
import { sameDocument } from './policy.ts'

/** Anyone may reach the function, which itself asks for a token or a key. Since 2025-10 both statements are needed. */
const statements: readonly Pick<
  AddPermissionCommandInput,
  'StatementId' | 'Action' | 'Principal' | 'FunctionUrlAuthType' | 'InvokedViaFunctionUrl'
>[] = [
  { StatementId: 'url', Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' },
  { StatementId: 'url-invoke', Action: 'lambda:InvokeFunction', Principal: '*', InvokedViaFunctionUrl: true },
]

const Policy = z.object({ Statement: z.array(z.object({ Sid: z.string() })) })

const wantedUrl = ({
  cors_origins,
}: LambdaParts): Pick<CreateFunctionUrlConfigCommandInput, 'AuthType' | 'InvokeMode' | 'Cors'> => ({
  AuthType: 'NONE',
  InvokeMode: 'RESPONSE_STREAM',
  Cors:
    cors_origins.length === 0
      ? {}
      : {
          AllowOrigins: [...cors_origins],
          AllowMethods: ['GET', 'POST'],
          AllowHeaders: ['authorization', 'content-type', 'x-api-key', 'inference-header-content-length', 'x-request-id'],
          ExposeHeaders: ['inference-header-content-length', 'x-request-id', 'retry-after'],
          MaxAge: 3_600,
        },
})

/** The address of the alias, which stays the same until the deployment goes; answers what had to be changed. */
export const ensureUrl = async (parts: LambdaParts, FunctionName: string): Promise<{ endpoint: string; repaired: string[] }> => {
  const repaired: string[] = []
  const target = { FunctionName, Qualifier: LIVE }
  const wanted = wantedUrl(parts)
  const found = await orAbsent(parts.lambda().send(new GetFunctionUrlConfigCommand(target)))
  const url = found?.FunctionUrl ?? (await createUrl(parts, FunctionName))
  if (!found) repaired.push('address made')
  if (found && !sameUrl(found, wanted)) {
    await whenFree(parts, () => parts.lambda().send(new UpdateFunctionUrlConfigCommand({ ...target, ...wanted })))
    repaired.push('address set up')
  }
  const policy = await orAbsent(parts.lambda().send(new GetPolicyCommand(target)))
  const held = policy?.Policy === undefined ? [] : Policy.parse(JSON.parse(policy.Policy)).Statement.map(({ Sid }) => Sid)
  for (const statement of statements.filter(({ StatementId = '' }) => !held.includes(StatementId))) {
    await allow(parts, { ...target, ...statement })
    repaired.push(`permission ${statement.StatementId} given`)
  }
  return { endpoint: url.replace(/\/$/, ''), repaired }
}

const sameUrl = ({ AuthType, InvokeMode, Cors }: Partial<FunctionUrlConfig>, wanted: ReturnType<typeof wantedUrl>): boolean =>
  AuthType === wanted.AuthType && InvokeMode === wanted.InvokeMode && sameDocument(saidOf(Cors), saidOf(wanted.Cors))

/** Lambda answers what nobody set as false, 0 or an empty list. */
const saidOf = (cors: FunctionUrlConfig['Cors']): object =>
  Object.fromEntries(Object.entries(cors ?? {}).filter(([, value]) => (Array.isArray(value) ? value.length > 0 : Boolean(value))))

const createUrl = async (parts: LambdaParts, FunctionName: string): Promise<string> => {
  const target = { FunctionName, Qualifier: LIVE }
  try {
    const made = await parts.lambda().send(new CreateFunctionUrlConfigCommand({ ...target, ...wantedUrl(parts) }))
    return made.FunctionUrl ?? ''
  } catch (error) {
    if (awsCode(error) !== 'ResourceConflictException') throw error
    return (await parts.lambda().send(new GetFunctionUrlConfigCommand(target))).FunctionUrl ?? ''
  }
}

/** A statement that is there already is what we want. */
const allow = async (parts: LambdaParts, statement: AddPermissionCommandInput): Promise<void> => {
  try {
    await parts.lambda().send(new AddPermissionCommand(statement))
  } catch (error) {
    if (awsCode(error) !== 'ResourceConflictException') throw error
  }
}

export const removeUrl = async (parts: RemovalParts, FunctionName: string): Promise<void> => {
  await whenFree(parts, () =>
    orAbsent(parts.lambda().send(new DeleteFunctionUrlConfigCommand({ FunctionName, Qualifier: LIVE }))),
  )
}
