import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { askedMetadata, wishesOf } from '../../layers/core/domain/accuracy-gate.ts'
import { judgeCandidate } from '../../layers/core/domain/judge-candidate.ts'
import type { Attempt } from '../../layers/core/domain/optimization.ts'
import type { Task } from '../../layers/core/domain/task.ts'
import { removeScratch, scratchFolder } from '../../layers/optimizers/scratch.ts'
import { folderArtifacts } from '../../layers/optimizers/search-files.ts'
import { localWorkbench } from '../../layers/optimizers/workbench.ts'
import { attemptTable } from './attempt-table.ts'
import { type Judging, withJudging } from './judging-flags.ts'
import { measuredOn } from './measured-on.ts'
import { withOneFile } from './one-file.ts'
import { compareOptions, filesOf, readArguments } from './options.ts'
import type { Terminal } from './terminal.ts'
import { wrapped } from './text-table.ts'
import { usage } from './usage.ts'
import { durationFlag } from './values.ts'
import { asFlags, harmless } from './words.ts'

const LEAST_MS = 600
const USUAL_MS = 8000

/** `aideploy compare`: answers the exit code, 0 where the second may stand in for the first. */
export async function compare(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  const { values, positionals } = readArguments(args, compareOptions)
  if (values.help) {
    terminal.out(usage.compare)
    return 0
  }
  const [original = '', candidate = ''] = filesOf(positionals, 2, 'two models, original.onnx and candidate.onnx')
  const budget_ms = values.budget === undefined ? USUAL_MS : Math.max(LEAST_MS, durationFlag('budget', values.budget) * 1000)
  if (!values.quiet) terminal.err(`comparing, up to ${Math.round(budget_ms / 1000)} s …\n`)
  const judged = ([first = '', second = '']: string[]) =>
    withJudging(values, (judging) => measured({ original: first, candidate: second, budget_ms, signal }, judging))
  const attempt = await withOneFile([original, candidate], judged).catch((error: unknown) => {
    if (signal.aborted) return undefined
    throw error
  })
  if (!attempt) return 130
  if (values.json) terminal.out(`${JSON.stringify({ ...attempt, measured_on: measuredOn() }, null, 2)}\n`)
  else {
    const table = attemptTable(
      { attempts: [attempt], original: { path: original, size_bytes: attempt.original?.size_bytes ?? 0 } },
      terminal,
    )
    terminal.out(`${table}\n${wrapped(harmless(asFlags(attempt.reason)), terminal.width, '  ').join('\n')}\n`)
  }
  return attempt.verdict === 'accepted' ? 0 : 2
}

async function measured(
  { original, candidate, budget_ms, signal }: { original: string; candidate: string; budget_ms: number; signal: AbortSignal },
  { calibration_path, evaluation_path, accuracy_gate, task, metadata }: Judging,
): Promise<Attempt> {
  const folder = await scratchFolder(join(tmpdir(), `aideploy-compare-${process.getuid?.() ?? 'user'}`))
  try {
    const wished = askedMetadata({ metadata, accuracy_gate, task: task as Task | null })
    const { class_output, input_shapes = {}, task: reading } = wishesOf(wished)
    const given = {
      original: resolve(original),
      candidate: resolve(candidate),
      calibration: calibration_path && resolve(calibration_path),
      evaluation: evaluation_path && resolve(evaluation_path),
    }
    const bench = localWorkbench({ artifacts: folderArtifacts(folder, given), optimizers: [], scratch_dir: folder, signal })
    const keys = { calibration: calibration_path && 'calibration', evaluation: evaluation_path && 'evaluation' }
    const order = { original: 'original', candidate: 'candidate', ...keys, class_output, input_shapes, budget_ms, unfitted: true }
    const evidence = await bench.measure({ ...order, ...(reading && { task: reading }) })
    const verdict = judgeCandidate(evidence, { metadata: wished, target_size_bytes: null, target_latency_ms: null })
    return { name: 'candidate', settings: {}, ...evidence, ...verdict }
  } finally {
    await removeScratch(folder)
  }
}
