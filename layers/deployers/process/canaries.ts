import { PlatformError } from '../../core/contract/errors.ts'
import type { Canary } from '../../core/domain/deployment.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'
import { platformError } from './faults.ts'
import type { Pool } from './pool.ts'

/** The pools that answer a share of a deployment's requests with another revision. */
export interface CanaryPools {
  /** Draws for one call: the other revision, or undefined for the one in force. */
  choose(deployment_id: string): { pool: Pool; revision: number } | undefined
  /** Brings the other revision up and gives it its share; another canary before it ends, and null ends all. May be repeated. */
  set(
    deployment_id: string,
    canary: Canary | null,
    other: DeployTarget | undefined,
    make: (target: DeployTarget) => Promise<Pool>,
  ): Promise<void>
  end(deployment_id: string, reason: string): Promise<void>
}

/** `random` answers numbers from 0 up to, not including, 1. Every call draws anew: a caller is not held to one revision. */
export const canaryPools = (random: () => number = Math.random): CanaryPools => {
  const running = new Map<string, { pool: Pool; revision: number; percent: number }>()
  const end = async (deployment_id: string, reason: string): Promise<void> => {
    const present = running.get(deployment_id)
    running.delete(deployment_id)
    await present?.pool.drain(reason)
  }
  return {
    end,
    choose: (deployment_id) => {
      const present = running.get(deployment_id)
      // A canary that broke must not take its share down with it.
      return present !== undefined && random() * 100 < present.percent && present.pool.status().ready ? present : undefined
    },
    set: async (deployment_id, canary, other, make) => {
      const present = running.get(deployment_id)
      if (canary === null) return end(deployment_id, 'its canary ended')
      if (present?.revision === canary.revision && present.pool.status().ready) {
        present.percent = canary.percent
        return
      }
      if (other === undefined)
        throw new PlatformError('internal', `Revision ${canary.revision} of ${deployment_id} was not given`)
      await end(deployment_id, 'another canary took over')
      const pool = await make(other)
      try {
        await pool.start('deploy')
      } catch (error) {
        await pool.drain('it could not be started')
        throw platformError(error)
      }
      running.set(deployment_id, { pool, ...canary })
    },
  }
}
