import * as z from 'zod'
import { authRoutes } from '../../layers/core/contract/routes/auth.ts'

export type AuthRouteId = keyof typeof authRoutes

const strict = <Shape extends z.core.$ZodLooseShape>(schema: z.ZodObject<Shape>) => z.strictObject(schema.shape)

/** The replies of the auth routes, refusing any member that the contract does not name. */
export const authReplies = {
  'issue-token': strict(authRoutes['issue-token'].reply),
  'get-me': strict(authRoutes['get-me'].reply),
  'change-password': strict(authRoutes['change-password'].reply),
  'get-jwks': strict(authRoutes['get-jwks'].reply),
  'create-organization': strict(authRoutes['create-organization'].reply),
  'list-organizations': z.array(strict(authRoutes['list-organizations'].reply.element)),
  'create-user': strict(authRoutes['create-user'].reply),
  'list-users': z.array(strict(authRoutes['list-users'].reply.element)),
  'update-user': strict(authRoutes['update-user'].reply),
  'delete-user': strict(authRoutes['delete-user'].reply),
  'create-api-key': strict(authRoutes['create-api-key'].reply),
  'list-api-keys': z.array(strict(authRoutes['list-api-keys'].reply.element)),
  'revoke-api-key': strict(authRoutes['revoke-api-key'].reply),
} as const satisfies Record<AuthRouteId, z.ZodType>
