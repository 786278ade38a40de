import { readFileSync } from 'node:fs'
import { applyDynamicInt8 } from '../../layers/optimizers/apply-dynamic-int8.ts'

/** One file to dynamic int8 in this process, which ends with it: `node bench/optimize/convert.ts MODEL OUTPUT`. Answers seconds and peak memory. */
const [model_path = '', candidate_path = ''] = process.argv.slice(2)
const started = performance.now()
await applyDynamicInt8({ model_path, candidate_path, settings: { weight_type: 's8', conv: 'none', gather: true } })
const work_s = (performance.now() - started) / 1000
// The kernel's own high-water mark of this program; a process's resource usage begins at what its parent held.
const peak_kb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
process.stdout.write(JSON.stringify({ work_s, peak_rss_bytes: peak_kb * 1024 }))
