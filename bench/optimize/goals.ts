import type { Attempt } from '../../layers/core/domain/optimization.ts'
import { type Judge, type Judged, speedUp } from './judge.ts'
import type { LargeResult } from './large.ts'
import { attemptName } from './ours.ts'
import type { SubjectResult } from './run-subject.ts'
import type { TrainingStep } from './training-step.ts'

export interface Goal {
  name: string
  wanted: string
  got: string
  /** Undefined: not measured this time. */
  reached: boolean | undefined
}

export interface Measured {
  results: readonly SubjectResult[]
  large: LargeResult | undefined
  training: readonly TrainingStep[]
  /** The file published for MiniLM at 16 tokens, at 128. */
  mini_lm_128: Judged | undefined
}

const SMALL_BYTES = 20e6
const LIMIT_S = 60

/** The published file's attempt, with the evidence it was chosen by. */
export const publishedOf = ({ searched }: SubjectResult): Attempt | undefined =>
  searched.result.chosen ? searched.result.attempts[searched.result.chosen.index] : undefined

export const goalsOf = (measured: Measured): Goal[] => {
  const { results } = measured
  const find = (name: string): SubjectResult | undefined => results.find(({ subject }) => subject.name === name)
  return [
    neverSlower(results),
    ...largeGoals(measured.large),
    miniLmGoal(find('minilm-16'), measured.mini_lm_128),
    lossAndSpeed('residual CNN, trained here: loss', find('cnn'), 0.005, 1),
    lossAndSpeed('ResNet-18 shape: speed', find('resnet-18'), undefined, 2),
    perceptronGoal('MLP, MNIST', find('mlp')),
    perceptronGoal('MLP, Fashion-MNIST', find('fashion')),
    ocrGoal(find('rec')),
    ...trainingGoals(measured.training),
    peersGoal(results),
    searchGoal(results),
  ]
}

const unmeasured = (name: string, wanted: string): Goal => ({ name, wanted, got: 'not measured', reached: undefined })
const number = (value: number | null | undefined, digits = 2): string => (value == null ? 'unknown' : value.toFixed(digits))
/** By the second measurement, which had all rows and no part in the choice. */
const evidence = ({ again }: SubjectResult) => {
  if (!again) return undefined
  const { original, candidate, fidelity, task } = again
  const ratio = candidate.size_bytes / original.size_bytes
  return {
    ratio,
    size_bytes: candidate.size_bytes,
    speed: speedUp(again),
    sqnr_db: fidelity.sqnr_db,
    loss: task?.loss.value,
    rows: task?.rows ?? 0,
  }
}
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
const points = (loss: number | undefined): string => (loss === undefined ? 'loss unknown' : `loss ${(100 * loss).toFixed(2)} pt`)
const nothing = ({ searched }: SubjectResult): string => `nothing published: ${searched.result.reason}`

const neverSlower = (results: readonly SubjectResult[]): Goal => {
  const faults = results.flatMap(({ subject, regression }) => (regression ? [`${subject.name} (${regression})`] : []))
  const published = results.filter((result) => publishedOf(result)).length
  if (published === 0) return unmeasured('never slower or worse', '0 regressions among what was published')
  const got = `${faults.length} of ${published} published, measured again${faults.length > 0 ? `: ${faults.join('; ')}` : ''}`
  return { name: 'never slower or worse', wanted: '0 regressions among what was published', got, reached: faults.length === 0 }
}

const largeGoals = (large: LargeResult | undefined): Goal[] => {
  const [time, memory, ratio] = ['≤ 1.5 s', '≤ 2.2× the file', '≥ 5× faster']
  if (!large) return [unmeasured('100 MB to dynamic int8', `${time}, ${memory}, ${ratio}`)]
  const { ours, peer, size_bytes } = large
  const times = ours.peak_rss_bytes / size_bytes
  const name = `${(size_bytes / 1e6).toFixed(0)} MB to dynamic int8, file to file`
  return [
    {
      name: `${name}: time`,
      wanted: time,
      got: `${number(ours.whole_s)} s, process start included`,
      reached: ours.whole_s <= 1.5,
    },
    { name: `${name}: peak memory`, wanted: memory, got: `${number(times)}×`, reached: times <= 2.2 },
    peer
      ? {
          name: `${name}: against quantize_dynamic`,
          wanted: ratio,
          got: `${number(peer.work_s / ours.work_s, 1)}× (${number(peer.whole_s / ours.whole_s, 1)}× with process starts; its peak ${number(peer.peak_rss_bytes / size_bytes)}× the file)`,
          reached: peer.work_s / ours.work_s >= 5,
        }
      : unmeasured(`${name}: against quantize_dynamic`, ratio),
  ]
}

const miniLmGoal = (result: SubjectResult | undefined, at_128: Judged | undefined): Goal => {
  const [name, wanted] = ['MiniLM-L6 shape, one file', '−74 % bytes, ≥ 2.0× at 16 and 128 tokens, ≥ 30 dB']
  if (!result) return unmeasured(name, wanted)
  const at_16 = evidence(result)
  if (!at_16) return { name, wanted, got: nothing(result), reached: false }
  const speed_128 = at_128 && speedUp(at_128)
  const sqnr_db = Math.min(at_16.sqnr_db ?? -200, at_128?.fidelity.sqnr_db ?? 200)
  const got = `${percent(at_16.ratio - 1)} bytes, ${number(at_16.speed)}× and ${number(speed_128)}×, ${number(sqnr_db, 1)} dB`
  return { name, wanted, got, reached: at_16.ratio <= 0.26 && at_16.speed >= 2 && (speed_128 ?? 0) >= 2 && sqnr_db >= 30 }
}

const lossAndSpeed = (name: string, result: SubjectResult | undefined, loss: number | undefined, speed: number): Goal => {
  const wanted = [...(loss === undefined ? [] : [`≤ ${100 * loss} pt`]), `≥ ${speed.toFixed(1)}×`].join(', ')
  if (!result) return unmeasured(name, wanted)
  const found = evidence(result)
  if (!found) return { name, wanted, got: nothing(result), reached: false }
  const lost = loss === undefined ? `${number(found.sqnr_db, 1)} dB` : points(found.loss)
  const kept = loss === undefined || (found.loss !== undefined && found.loss <= loss)
  return {
    name,
    wanted,
    got: `${lost}, ${number(found.speed)}×, ${percent(found.ratio - 1)} bytes`,
    reached: kept && found.speed >= speed,
  }
}

const perceptronGoal = (name: string, result: SubjectResult | undefined): Goal => {
  const wanted = '−95 % bytes, ≥ 4× p50, ≤ 1 pt, built without labels in < 5 s'
  if (!result) return unmeasured(name, wanted)
  const attempt = publishedOf(result)
  const found = evidence(result)
  if (!attempt || !found) return { name, wanted, got: nothing(result), reached: false }
  const built_s = buildSeconds(result.searched.result.attempts, attempt)
  const got = `${percent(found.ratio - 1)} bytes, ${number(found.speed)}×, ${points(found.loss)}, built in ${number(built_s, 1)} s (${attemptName(attempt)}; the whole search with its proofs ${number(result.searched.result.spent_s, 0)} s)`
  const reached = found.ratio <= 0.0501 && found.speed >= 4 && (found.loss ?? 1) <= 0.01 && built_s < 5
  return { name, wanted, got, reached }
}

/** With all it was made from. */
const buildSeconds = (attempts: readonly Attempt[], { build_ms = 0, base }: Attempt): number => {
  const from = base === undefined ? undefined : attempts[base]
  return build_ms / 1000 + (from ? buildSeconds(attempts, from) : 0)
}

const ocrGoal = (result: SubjectResult | undefined): Goal => {
  const [name, wanted] = ['PP-OCRv4 rec', '≤ 3.0 MB, exact match within 1 pt on ≥ 1,000 texts, ≥ 20 dB, ≥ 1.0×']
  if (!result) return unmeasured(name, wanted)
  const found = evidence(result)
  if (!found) return { name, wanted, got: nothing(result), reached: false }
  const { size_bytes, rows } = found
  const got = `${number(size_bytes / 1e6)} MB, ${points(found.loss)} on ${rows} texts, ${number(found.sqnr_db, 1)} dB, ${number(found.speed)}×`
  const faithful = (found.loss ?? 1) <= 0.01 && rows >= 1000 && (found.sqnr_db ?? 0) >= 20
  return { name, wanted, got, reached: size_bytes <= 3e6 && faithful && found.speed >= 0.97 }
}

const trainingGoals = (steps: readonly TrainingStep[]): Goal[] =>
  steps.map(({ threads, ours_ms, torch }) => {
    const name = `distillation step, MLP, ${threads} thread${threads === 1 ? '' : 's'}`
    const wanted = '≥ 3× PyTorch'
    if (!torch) return { name, wanted, got: `${number(ours_ms)} ms; PyTorch is not installed`, reached: undefined }
    const ratio = torch.ms / ours_ms
    return {
      name,
      wanted,
      got: `${number(ratio)}× PyTorch ${torch.version} (${number(ours_ms)} and ${number(torch.ms)} ms)`,
      reached: ratio >= 3,
    }
  })

const peersGoal = (results: readonly SubjectResult[]): Goal => {
  const [name, wanted] = [
    "against ONNX Runtime's tools",
    'for each usable file of theirs one of ours: no larger, no less faithful, no slower',
  ]
  const verdicts = results.flatMap(({ verdicts, subject }) =>
    verdicts.filter(({ usable }) => usable).map((verdict) => ({ ...verdict, subject })),
  )
  if (verdicts.length === 0) return unmeasured(name, wanted)
  const lost = verdicts.filter(({ outcome }) => outcome !== 'better or equal')
  const which = lost.map(({ subject, tool, outcome }) => `${subject.name} ${tool}: ${outcome}`)
  const got = `${verdicts.length - lost.length} of ${verdicts.length}${lost.length > 0 ? `; not ${which.join('; ')}` : ''}`
  return { name, wanted, got, reached: lost.length === 0 }
}

const searchGoal = (results: readonly SubjectResult[]): Goal => {
  const wanted = 'models ≤ 20 MB: targets met, or the whole ladder tried, in ≤ 60 s'
  const small = results.filter(({ original }) => original.size_bytes <= SMALL_BYTES)
  if (small.length === 0) return unmeasured('search', wanted)
  const late = small.filter(({ searched }) => searched.wall_s > LIMIT_S)
  const cut = small.filter(({ searched: { result } }) => result.target_met !== true && result.spent_s >= result.budget_s)
  const longest = Math.max(0, ...small.map(({ searched }) => searched.wall_s))
  const tail = cut.length > 0 ? `; ended by the budget: ${cut.map(({ subject }) => subject.name).join(', ')}` : ''
  const got = `${small.length - late.length} of ${small.length} in time, the longest ${number(longest, 0)} s${tail}`
  return { name: 'search', wanted, got, reached: late.length === 0 && cut.length === 0 }
}

/** What was published for 16 tokens, judged with the rows of 128. */
export const judgeMiniLm = async (
  judge: Judge,
  results: readonly SubjectResult[],
  budget_ms: number,
): Promise<Judged | undefined> => {
  const [short, long] = ['minilm-16', 'minilm-128'].map((name) => results.find(({ subject }) => subject.name === name))
  const path = short?.searched.result.chosen?.path
  if (!path || !long) return undefined
  const judged = await judge.compare(long.subject, long.subject.model_path, path, budget_ms)
  return typeof judged === 'string' ? undefined : judged
}
