import type * as z from 'zod'
import type { RouteRow } from './route-row.ts'
import { analyticsRoutes } from './routes/analytics.ts'
import { auditRoutes } from './routes/audit.ts'
import { authRoutes } from './routes/auth.ts'
import { datasetRoutes } from './routes/datasets.ts'
import { deploymentRoutes } from './routes/deployments.ts'
import { inferenceRoutes } from './routes/inference.ts'
import { modelRoutes } from './routes/models.ts'
import { platformRoutes } from './routes/platform.ts'
import { reportRoutes } from './routes/reports.ts'

/** The route table. The key is the route's id: its handler file, its log field, its SDK method. */
export const routes = {
  ...platformRoutes,
  ...authRoutes,
  ...auditRoutes,
  ...modelRoutes,
  ...datasetRoutes,
  ...deploymentRoutes,
  ...inferenceRoutes,
  ...analyticsRoutes,
  ...reportRoutes,
} as const

export type RouteId = keyof typeof routes
type Row<Id extends RouteId> = (typeof routes)[Id]

type Parsed<Id extends RouteId, Part extends 'params' | 'query' | 'body'> =
  Row<Id> extends Record<Part, infer Schema> ? (Schema extends z.ZodType ? z.output<Schema> : undefined) : undefined
export type Params<Id extends RouteId> = Parsed<Id, 'params'>
export type QueryOf<Id extends RouteId> = Parsed<Id, 'query'>
export type BodyOf<Id extends RouteId> = Parsed<Id, 'body'>
export type ReplyOf<Id extends RouteId> =
  Row<Id> extends { reply: infer Schema } ? (Schema extends z.ZodType ? z.input<Schema> : undefined) : undefined

/** The table with its rows widened, for code that walks over all of them. */
export const routeRows: readonly (RouteRow & { id: RouteId })[] = Object.entries(routes).map(([id, row]) => ({
  ...(row as RouteRow),
  id: id as RouteId,
}))
