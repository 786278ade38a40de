import { basename, resolve } from 'node:path'
import type { Inspection, TensorSpec } from '../../layers/core/domain/model.ts'
import { int8Of } from '../../layers/core/domain/optimization-target.ts'
import { planSearch, type SearchPlan } from '../../layers/core/usecases/plan-search.ts'
import { onnxInspector } from '../../layers/inspector/onnx.ts'
import { optimizers } from '../../layers/optimizers/index.ts'
import { sizeOfFile } from '../../layers/optimizers/search-files.ts'
import { targetFlag } from './judging-flags.ts'
import { withOneFile } from './one-file.ts'
import { filesOf, inspectOptions, readArguments } from './options.ts'
import type { Terminal } from './terminal.ts'
import { textTable, wrapped } from './text-table.ts'
import { usage } from './usage.ts'
import { asFlags, harmless, shownBytes, shownChange, shownSettings } from './words.ts'

/** `aideploy inspect`: answers the exit code. */
export async function inspect(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = readArguments(args, inspectOptions)
  if (values.help) {
    terminal.out(usage.inspect)
    return 0
  }
  const [model_path = ''] = filesOf(positionals, 1, 'one model, model.onnx')
  const { inspection, size_bytes } = await withOneFile([model_path], async ([joined = '']) => ({
    inspection: await onnxInspector().inspect(resolve(joined), { framework: 'onnx', file_name: basename(model_path) }),
    size_bytes: await sizeOfFile(joined, 'Model'),
  }))
  const plan = planSearch(optimizers, inspection, {
    method: 'auto',
    metadata: {},
    target_size_bytes: null,
    target_latency_ms: null,
    int8: int8Of(targetFlag(values.target)),
  })
  if (values.json) terminal.out(`${JSON.stringify({ path: model_path, size_bytes, inspection, ...plan }, null, 2)}\n`)
  else terminal.out(`${factsText(model_path, size_bytes, inspection, terminal)}\n${planText(plan, size_bytes, terminal)}`)
  return 0
}

const specText = ({ name, datatype, shape }: TensorSpec): string =>
  `${name} ${datatype} [${shape.map((size) => size ?? '?').join(', ')}]`

const listed = (counts: Record<string, number> = {}): string =>
  Object.entries(counts)
    .toSorted((a, b) => b[1] - a[1])
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

function factsText(path: string, size_bytes: number, inspection: Inspection, terminal: Terminal): string {
  const {
    inputs = [],
    outputs = [],
    operators,
    opsets,
    parameter_count,
    flops,
    weights = {},
    external_data = [],
    notes = [],
  } = inspection
  const stored = Object.entries(weights)
    .toSorted((a, b) => b[1].bytes - a[1].bytes)
    .map(([operator, { bytes }]) => `${operator} ${shownBytes(bytes)}`)
  const facts: [string, string][] = [
    ['file', `${path}, ${shownBytes(size_bytes)}`],
    [
      'format',
      `${inspection.format}, IR ${inspection.ir_version ?? '?'}, ${listed(opsets) || 'no opset'}${inspection.producer ? `, by ${inspection.producer}` : ''}`,
    ],
    ['inputs', inputs.map(specText).join('; ')],
    ['outputs', outputs.map(specText).join('; ')],
    ['operators', listed(operators)],
    ['weights', `${(parameter_count ?? 0).toLocaleString('en')} parameters${stored.length > 0 ? `: ${stored.join(', ')}` : ''}`],
    ...(flops == null
      ? []
      : [['one run', `${(flops / 1e6).toPrecision(3)} million floating-point operations`] as [string, string]]),
    ...(external_data.length > 0 ? [['beside it', external_data.join(', ')] as [string, string]] : []),
    ...notes.map((note): [string, string] => ['note', note]),
  ]
  return facts
    .flatMap(([name, text]) =>
      wrapped(harmless(text), terminal.width - 11).map((line, at) => `${(at === 0 ? name : '').padEnd(11)}${line}`),
    )
    .join('\n')
    .concat('\n')
}

function planText({ plan, left_out }: SearchPlan, size_bytes: number, terminal: Terminal): string {
  if (plan.length === 0)
    return `No candidate: ${left_out.map(({ optimizer, reason }) => `${optimizer}: ${harmless(asFlags(reason))}`).join('; ')}\n`
  const rows = plan.map(({ optimizer, settings, expected_size_bytes, expected_sqnr_db }) => [
    `${optimizer} (${shownSettings(settings)})`,
    expected_size_bytes === null ? '?' : shownBytes(expected_size_bytes),
    expected_size_bytes === null ? '' : shownChange(size_bytes, expected_size_bytes),
    expected_sqnr_db === 0 ? '?' : `${expected_sqnr_db.toFixed(0)} dB`,
  ])
  const columns = [
    { title: 'candidates worth trying, mildest first', align: 'left' },
    { title: 'size', align: 'right' },
    { title: 'change', align: 'right' },
    { title: 'keeps', align: 'right' },
  ] as const
  const missing = left_out.map(({ optimizer, reason }) =>
    wrapped(`not tried: ${optimizer}: ${harmless(asFlags(reason))}`, terminal.width, '  ').join('\n'),
  )
  return `${[...textTable(columns, rows, terminal.width), ...missing].join('\n')}\n`
}
