import { type PicturePoint, paretoPicture } from '../../bin/aideploy/pareto-picture.ts'
import type { Goal } from './goals.ts'
import { publishedOf } from './goals.ts'
import { speedUp } from './judge.ts'
import { attemptName } from './ours.ts'
import type { PeerResult, SubjectResult } from './run-subject.ts'

/** The same rows for the terminal and for Markdown. Every figure is a ratio against the original, measured in the same turns. */

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`
const times = (ratio: number): string => `${ratio.toFixed(2)}×`
const decibels = (value: number | null): string => (value === null ? '–' : `${value.toFixed(1)} dB`)

export const tableRows = (results: readonly SubjectResult[]): string[][] => [
  [
    'model',
    'original',
    'ours',
    'bytes',
    'speed',
    'SQNR',
    'task',
    "best of ORT's",
    'bytes',
    'speed',
    'SQNR',
    'task',
    'matched',
    'search',
  ],
  ...results.map(tableRow),
]

const tableRow = (result: SubjectResult): string[] => {
  const { subject, original, verdicts, searched } = result
  const usable = verdicts.filter((verdict) => verdict.usable)
  const matched = usable.filter(({ outcome }) => outcome === 'better or equal').length
  const wanted = searched.result.target_met === null ? '' : searched.result.target_met ? ', met' : ', not met'
  return [
    subject.title,
    `${megabytes(original.size_bytes)}, ${original.p50_ms.toPrecision(3)} ms`,
    ...ourCells(result),
    ...(result.peers.length === 0 ? ['not run', '–', '–', '–', '–'] : peerCells(bestPeer(result))),
    verdicts.length === 0 ? '–' : `${matched} of ${usable.length}`,
    `${searched.wall_s.toFixed(0)} s${wanted}`,
  ]
}

const ourCells = (result: SubjectResult): string[] => {
  const attempt = publishedOf(result)
  if (!attempt || !result.again) return ['nothing acceptable', '–', '–', '–', '–']
  const { original, candidate, fidelity, task } = result.again
  const size = (candidate.size_bytes / original.size_bytes).toFixed(3)
  return [attemptName(attempt), size, times(speedUp({ original, candidate })), decibels(fidelity.sqnr_db), taskCell(task)]
}

const peerCells = (peer: PeerResult | undefined): string[] => {
  if (!peer?.judged) return ['none usable', '–', '–', '–', '–']
  const { original, candidate, fidelity, task } = peer.judged
  return [
    peer.tool,
    (candidate.size_bytes / original.size_bytes).toFixed(3),
    times(speedUp(peer.judged)),
    decibels(fidelity.sqnr_db),
    taskCell(task),
  ]
}

const taskCell = (task: { metric: string; loss: { value: number } } | undefined): string =>
  task ? `${task.metric} ${task.loss.value > 0 ? '−' : '+'}${(100 * Math.abs(task.loss.value)).toFixed(2)} pt` : '–'

/** Of the peers' usable files, the one with the smallest product of size and time, as our own search chooses without targets. */
const bestPeer = ({ peers, verdicts }: SubjectResult): PeerResult | undefined => {
  const usable = peers.filter(({ tool, judged }) => judged && verdicts.some((verdict) => verdict.tool === tool && verdict.usable))
  const product = ({ judged, made }: PeerResult): number => (made?.size_bytes ?? 0) / (judged ? speedUp(judged) : 1)
  return usable.toSorted((a, b) => product(a) - product(b))[0]
}

/** Every file of the peers beside what ours has against it. */
export const peerRows = (results: readonly SubjectResult[]): string[][] => [
  [
    'model',
    'tool',
    'bytes',
    'speed',
    'SQNR',
    'task',
    'tool takes',
    'usable',
    'ours that is no larger',
    'SQNR',
    'speed ÷ theirs',
    'ours is',
  ],
  ...results.flatMap((result) => result.peers.map((peer) => peerRow(result, peer))),
]

const peerRow = ({ subject, original, verdicts }: SubjectResult, { tool, made, judged, failure }: PeerResult): string[] => {
  const verdict = verdicts.find((each) => each.tool === tool)
  if (!judged || !made || !verdict)
    return [subject.name, tool, (failure ?? 'failed').slice(0, 90), ...Array.from({ length: 9 }, () => '')]
  const { ours } = verdict
  return [
    subject.name,
    tool,
    (made.size_bytes / original.size_bytes).toFixed(3),
    times(speedUp(judged)),
    decibels(judged.fidelity.sqnr_db),
    taskCell(judged.task),
    `${made.whole_s.toFixed(1)} s, ${(made.peak_rss_bytes / 1e6).toFixed(0)} MB`,
    verdict.usable ? 'yes' : 'no',
    ours?.name ?? 'none',
    ours ? decibels(ours.sqnr_db) : '',
    ours ? times(ours.ratio) : '',
    verdict.outcome,
  ]
}

export const goalRows = (goals: readonly Goal[]): string[][] => [
  ['goal', 'wanted', 'got', ''],
  ...goals.map(({ name, wanted, got, reached }) => [
    name,
    wanted,
    got,
    reached === undefined ? 'not measured' : reached ? 'reached' : '**not reached**',
  ]),
]

/** Goals as lines: their sentences are too long for columns. */
export const goalLines = (goals: readonly Goal[]): string =>
  goals.map(({ name, wanted, got, reached }) => `  ${marks[String(reached)]} ${name}: ${got} (wanted ${wanted})`).join('\n')
const marks: Readonly<Record<string, string>> = { true: '✓ reached     ', false: '✗ not reached ', undefined: '– not measured' }

export const markdown = (rows: readonly string[][]): string => {
  const [head = [], ...body] = rows
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n')
}

/** All models in one plane: bytes left against speed gained, ours and theirs. */
export const picture = (results: readonly SubjectResult[]): string => {
  const points = results.flatMap((result): PicturePoint[] => {
    const { again } = result
    const ours = again
      ? [
          {
            x: again.candidate.size_bytes / again.original.size_bytes,
            y: speedUp(again),
            series: 'ours',
            label: result.subject.name,
            important: true,
          },
        ]
      : []
    const theirs = result.peers.flatMap(({ tool, judged }) => {
      if (!judged) return []
      const usable = result.verdicts.some((verdict) => verdict.tool === tool && verdict.usable)
      const x = judged.candidate.size_bytes / judged.original.size_bytes
      return [{ x, y: speedUp(judged), series: usable ? 'theirs' : 'unusable', label: tool }]
    })
    return [...ours, ...theirs.map(({ label: _, ...point }) => point)].map((point) => ({
      ...point,
      title: `${result.subject.title}, ${point.series}`,
    }))
  })
  return paretoPicture(points, {
    title: 'Bytes left and speed gained: what our search published, and what ONNX Runtime’s tools make of the same models',
    x: { title: 'bytes, share of the original', text: (value) => `${(100 * value).toPrecision(3)} %` },
    y: { title: 'speed, times the original’s', text: (value) => `${value.toPrecision(2)}×`, zero: 1 },
    better_y: 'high',
    series: {
      ours: { name: 'published by our search', shape: 'circle', tone: 'best' },
      theirs: { name: 'ONNX Runtime’s tools, within the gate', shape: 'diamond', tone: 'plain' },
      unusable: { name: 'ONNX Runtime’s tools, outside the gate', shape: 'cross', tone: 'muted' },
    },
  })
}
