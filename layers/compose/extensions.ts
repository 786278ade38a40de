import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as z from 'zod'
import { PlatformError } from '../core/contract/errors.ts'
import { OptimizationMethod } from '../core/domain/optimization.ts'
import type { Deployer } from '../core/ports/deployer.ts'
import type { Optimizer } from '../core/ports/optimizer.ts'

const Verb = z.custom<(...input: never[]) => unknown>((value) => typeof value === 'function', 'wanted a function')
const Schema = z.custom<z.ZodType>(
  (value) => typeof value === 'object' && value !== null && 'safeParse' in value && typeof value.safeParse === 'function',
  'wanted a zod schema',
)

const DeployerShape = z.looseObject({
  type: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'wanted lower-case letters, digits and dashes, e.g. "custom"'),
  summary: z.string(),
  settings: Schema,
  capabilities: z.object({
    frameworks: z.array(z.string()),
    scales_to_zero: z.boolean(),
    gpu: z.boolean(),
    max_memory_bytes: z.number(),
    max_timeout_s: z.number(),
  }),
  needs: z.array(z.string()),
  deploy: Verb,
  status: Verb,
  infer: Verb,
  hibernate: Verb,
  activate: Verb,
  undeploy: Verb,
})

const OptimizerShape = z.looseObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'wanted lower-case letters, digits and dashes, e.g. "my-pruning"'),
  method: OptimizationMethod,
  summary: z.string(),
  settings: Schema,
  suits: Verb,
  apply: Verb,
})

/** The shape was checked member by member; a function's parameters cannot be. */
const isDeployer = (value: unknown): value is Deployer => DeployerShape.safeParse(value).success
const isOptimizer = (value: unknown): value is Optimizer => OptimizerShape.safeParse(value).success

export interface Extensions {
  deployers: Deployer[]
  optimizers: Optimizer[]
}

const wrong = (path: string, detail: string, cause?: unknown): PlatformError =>
  new PlatformError('bad_request', `Extension ${path}: ${detail}`, { cause })

/** Every element of an exported list, checked; the message names file, member and what was wanted. */
const listed = <Part>(
  path: string,
  name: string,
  list: unknown,
  shape: z.ZodType,
  is: (value: unknown) => value is Part,
): Part[] => {
  if (list === undefined) return []
  if (!Array.isArray(list)) throw wrong(path, `wanted 'export const ${name}' as an array, got ${typeof list}`)
  return list.map((item: unknown, position) => {
    if (is(item)) return item
    const issues = shape.safeParse(item).error?.issues ?? []
    const told = issues.map((issue) => `${[name, position, ...issue.path].join('.')}: ${issue.message}`).join('; ')
    throw wrong(path, told)
  })
}

const loadOne = async (path: string): Promise<Extensions> => {
  const module = pathToFileURL(resolve(path)).href
  const exported: Record<string, unknown> = await import(module).catch((cause: unknown) => {
    throw wrong(path, `cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  })
  const deployers = listed(path, 'deployers', exported.deployers, DeployerShape, isDeployer)
  const optimizers = listed(path, 'optimizers', exported.optimizers, OptimizerShape, isOptimizer)
  if (deployers.length + optimizers.length === 0)
    throw wrong(path, "wanted 'export const deployers' or 'export const optimizers' with something in it")
  // The process that builds candidates loads the optimizer from where it came.
  return { deployers, optimizers: optimizers.map((optimizer) => ({ module, ...optimizer })) }
}

/**
 * Loads the modules of `AIDEPLOY_EXTENSIONS` in order. Fails with `bad_request` naming the file and the member that is wrong: a platform
 * that starts without an extension somebody relies on is worse than one that does not start.
 */
export const loadExtensions = async (paths: readonly string[]): Promise<Extensions> => {
  const loaded: Extensions = { deployers: [], optimizers: [] }
  for (const path of paths.map((text) => text.trim()).filter((text) => text !== '')) {
    const { deployers, optimizers } = await loadOne(path)
    loaded.deployers.push(...deployers)
    loaded.optimizers.push(...optimizers)
  }
  return loaded
}
