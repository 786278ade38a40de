import type { Rung } from '../../core/domain/ladder.ts'
import type { DeployTarget } from '../../core/ports/deployer.ts'

/** Before the first start is measured: a process with the runtime loaded, then the model's file from the page cache or a slow disk. */
const startOfProcess_s = 0.02
const slowDisk_bytes_per_s = 500 * 2 ** 20

const noListPrice = 'no list price: memory and disk of the platform’s own machine, which is paid anyway'

/**
 * The two rungs of a process on this machine. `measured_s` is how long its last start took, from the order to the model's first readiness;
 * undefined before the first one in this host.
 */
export const processLadder = ({ deployment, model }: DeployTarget, measured_s: number | undefined): Rung[] => {
  const estimated_s = startOfProcess_s + model.size_bytes / slowDisk_bytes_per_s
  const isWarm = deployment.status === 'active'
  return [
    {
      name: 'warm',
      usd_per_month: 0,
      wake_seconds: 0,
      wake_basis: 'its process is running',
      basis: noListPrice,
      current: isWarm,
    },
    {
      name: 'scaled_to_zero',
      usd_per_month: 0,
      wake_seconds: Math.round((measured_s ?? estimated_s) * 1000) / 1000,
      wake_basis:
        measured_s === undefined
          ? `estimated for ${model.size_bytes} bytes at 500 MiB/s; not started by this host yet`
          : 'its last start, measured',
      basis: noListPrice,
      current: !isWarm,
    },
  ]
}
