import { writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { JsonObject } from '../../layers/core/domain/json.ts'
import { OptimizationMethod } from '../../layers/core/domain/optimization.ts'
import { nearest } from '../../layers/core/domain/spelling.ts'
import { membersRead } from '../../layers/core/usecases/check-asked.ts'
import { optimizers } from '../../layers/optimizers/index.ts'
import { type SearchResult, searchModel } from '../../layers/optimizers/search.ts'
import { checkWritable } from '../../layers/optimizers/search-files.ts'
import { snapshotPrices } from '../../layers/pricing/snapshot.ts'
import { attemptTable, outcomeText } from './attempt-table.ts'
import { targetFlag, withJudging } from './judging-flags.ts'
import { measuredOn } from './measured-on.ts'
import { withOneFile } from './one-file.ts'
import { filesOf, optimizeOptions, readArguments } from './options.ts'
import { drawProgress } from './progress.ts'
import type { Terminal } from './terminal.ts'
import { usage } from './usage.ts'
import { choiceFlag, durationFlag, memberFlag, numberFlag, sizeFlag, UsageFault } from './values.ts'

const methods = OptimizationMethod.exclude(['custom']).options
const precisions = [...new Set([...optimizers.flatMap(({ precisions: known = [] }) => known), 'auto'])]

/** 0 targets met or none set, 2 nothing acceptable, 3 a target missed, 130 interrupted. */
const exitCode = ({ interrupted, chosen, target_met }: SearchResult): number => {
  if (interrupted) return 130
  if (!chosen) return 2
  return target_met === false ? 3 : 0
}

const defaultOut = (model_path: string): string =>
  join(dirname(model_path), `${basename(model_path).replace(/\.onnx$/i, '')}.opt.onnx`)

/** `aideploy optimize`: answers the exit code. */
export async function optimize(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  const { values, positionals } = readArguments(args, optimizeOptions)
  if (values.help) {
    terminal.out(usage.optimize)
    return 0
  }
  const [model_path = ''] = filesOf(positionals, 1, 'one model, model.onnx')
  const { out: output_path = defaultOut(model_path), report } = values
  const asked = askedFrom(values)
  if (report !== undefined) await checkWritable(report, [model_path, output_path, values.eval ?? null, values.calibrate ?? null])
  const progress = values.quiet ? undefined : drawProgress(terminal)
  const search = (joined: string) =>
    withJudging(values, ({ metadata, ...judging }) =>
      searchModel({
        ...asked,
        ...judging,
        metadata: { ...metadata, ...asked.metadata },
        model_path: joined,
        output_path,
        prices: snapshotPrices(),
        signal,
        ...(progress && { onProgress: progress.show }),
      }),
    )
  const found = await withOneFile([model_path], ([joined = '']) => search(joined)).finally(() => progress?.stop())
  const result: SearchResult = { ...found, original: { ...found.original, path: model_path } }
  const measured_on = measuredOn()
  if (report !== undefined) {
    const { reportPage } = await import('./report/page.ts')
    await writeFile(report, reportPage(result, measured_on))
  }
  if (values.json) terminal.out(`${JSON.stringify({ ...result, measured_on }, null, 2)}\n`)
  else terminal.out(`${attemptTable(result, terminal)}\n${outcomeText(result, terminal)}`)
  return exitCode(result)
}

/** Names that some method reads. */
const settable = membersRead(optimizers)

/** Metadata of the platform may be its callers' own; what nothing reads is a slip here. */
const setFlag = (text: string): [string, unknown] => {
  const [name, value] = memberFlag('set', text)
  if (settable.includes(name)) return [name, value]
  const near = nearest(name, settable)
  throw new UsageFault(
    `--set ${name} is read by nothing; ${near ? `did you mean ${near}?` : `wanted one of ${settable.toSorted().join(', ')}`}`,
  )
}

type Flags = ReturnType<typeof readArguments<typeof optimizeOptions>>['values']

/** A precision alone asks for quantization and a sparsity alone for pruning; both together leave it to the search. */
function askedFrom(values: Flags) {
  const precision = values.precision === undefined ? undefined : choiceFlag('precision', values.precision, precisions)
  const sparsity = values.sparsity === undefined ? undefined : numberFlag('sparsity', values.sparsity, 0, 1, true)
  const implied =
    precision !== undefined && sparsity === undefined
      ? 'quantization'
      : sparsity !== undefined && precision === undefined
        ? 'pruning'
        : 'auto'
  return {
    method: values.method === undefined ? implied : choiceFlag('method', values.method, methods),
    target: targetFlag(values.target),
    target_size_bytes: values['target-size'] === undefined ? null : sizeFlag('target-size', values['target-size']),
    target_latency_ms:
      values['target-latency'] === undefined ? null : durationFlag('target-latency', values['target-latency']) * 1000,
    time_budget_s: values.budget === undefined ? null : durationFlag('budget', values.budget),
    metadata: {
      ...JsonObject.parse(Object.fromEntries((values.set ?? []).map((one) => setFlag(one)))),
      ...(precision !== undefined && { precision }),
      ...(sparsity !== undefined && { sparsity }),
    },
  }
}
