import { PlatformError } from '../core/contract/errors.ts'
import type { Deployer } from '../core/ports/deployer.ts'

/**
 * The registry the platform works with: what ships and what extensions add, by type. An extension may bring a type that is known but
 * not available here (`custom`, say); it may not replace one that is.
 */
export const deployerRegistry = (
  shipped: readonly Deployer[],
  extensions: readonly Deployer[] = [],
): ReadonlyMap<string, Deployer> => {
  const registry = new Map<string, Deployer>()
  for (const deployer of [...shipped, ...extensions]) {
    if (registry.has(deployer.type))
      throw new PlatformError(
        'conflict',
        `Two deployers say they are of type '${deployer.type}': wanted one for each type, have ${[...registry.keys()].join(', ')}`,
      )
    registry.set(deployer.type, deployer)
  }
  return registry
}
