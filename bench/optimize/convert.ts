import { applyDynamicInt8 } from '../../layers/optimizers/apply-dynamic-int8.ts'

/** One file to dynamic int8 in this process, which ends with it: `node bench/optimize/convert.ts MODEL OUTPUT`. Answers seconds and peak memory. */
const [model_path = '', candidate_path = ''] = process.argv.slice(2)
const started = performance.now()
await applyDynamicInt8({ model_path, candidate_path, settings: { weight_type: 's8', conv: 'none', gather: true } })
const work_s = (performance.now() - started) / 1000
process.stdout.write(JSON.stringify({ work_s, peak_rss_bytes: process.resourceUsage().maxRSS * 1024 }))
