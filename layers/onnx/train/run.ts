import type { ModelProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { mainGraph } from '../graph/walk.ts'
import type { Checkpoint } from './checkpoint.ts'
import { batches, batchOf, splitSamples, type TrainingData } from './data.ts'
import { type Judgement, judge } from './judge.ts'
import { runIdentity, startKeeper } from './keeper.ts'
import { LABELS, lossNeeds, TEACHER } from './losses.ts'
import { type Pace, startPace } from './pace.ts'
import { startPredictor } from './predict.ts'
import type { ScheduleSpec } from './schedules.ts'
import { startTrainer } from './trainer.ts'
import { type TrainingPlan, trainingGraph } from './training-graph.ts'

export interface RunPlan extends TrainingPlan {
  schedule: ScheduleSpec
  steps: number
  /** Samples per step; less when there are fewer, one when the model is made for one. */
  batch: number
  seed: number
  /** Share of the samples that training does not see. */
  held_out_share: number
  threads: number
  /** Wall-clock milliseconds for all steps: fewer are planned where the first ones tell that it would not do for as many as wanted. */
  budget_ms?: number | undefined
  /** Where the state is kept, at most that often; a run of the same model, data and plan goes on from there. */
  checkpoint?: { path: string; every_ms: number } | undefined
}

/** One point of the training curve: the mean loss of the steps since the point before. */
export interface CurvePoint {
  step: number
  loss: number
  rate: number
}

export interface TrainingRun {
  batch: number
  /** Steps done by an earlier run that this one continues. */
  resumed_at: number
  /** Steps planned in all. */
  steps(): number
  /** Trains until so many steps are done in all, or this call took that long. */
  advance(until_step: number, limit_ms: number): Promise<{ step: number; curve: CurvePoint[] }>
  /** The model as it is now, and how it does on the samples held out (undefined when there are none). */
  result(): Promise<{ model: ModelProto; held_out: Judgement | undefined; learnable: number }>
  release(): Promise<void>
}

const CURVE_POINTS = 100

/**
 * Trains a model in this process. `data` holds a column per input, and `LABELS` and `TEACHER` as the loss needs. The same seed gives
 * the same batches; results still differ in the last bits between machines, whose kernels add in different orders.
 * @throws OnnxFault unsupported: what cannot be differentiated, by name; a loss that is no number (the rate is too high)
 */
export const openRun = async (source: ModelProto, data: TrainingData, plan: RunPlan): Promise<TrainingRun> => {
  const seen = neededColumns(source, data, plan)
  const { learn, held_out } = splitSamples(data.samples, plan.held_out_share, plan.seed)
  const batch = await acceptedBatch(source, data, plan, Math.min(plan.batch, learn.length))
  const training = await trainingGraph(source, plan, exampleFeeds(seen, batch))
  const keeper = startKeeper(plan.checkpoint, () => runIdentity(source, seen, plan, batch))
  const kept = keeper.found
  const trainer = await startTrainer(training, { threads: plan.threads, from: kept })
  const order = batches(learn, batch, plan.seed)
  for (let done = 0; done < trainer.steps(); done++) order.next()
  const pace = startPace(plan, kept)
  const drawing = startCurve(pace, kept)
  return {
    batch,
    resumed_at: trainer.steps(),
    steps: () => pace.steps(),
    async advance(until_step, limit_ms) {
      const until = performance.now() + limit_ms
      while (trainer.steps() < Math.min(until_step, pace.steps()) && performance.now() < until) {
        const started = performance.now()
        const rate = pace.rate(trainer.steps() + 1)
        const loss = await trainer.step(batchOf(seen, order.next().value ?? []), rate)
        drawing.add(trainer.steps(), loss, rate)
        pace.took(trainer.steps(), performance.now() - started)
        keeper.offer(() => ({ step: trainer.steps(), state: trainer.state(), ...pace.kept(), ...drawing.kept() }))
      }
      return { step: trainer.steps(), curve: drawing.taken() }
    },
    async result() {
      const model = trainer.trained(source)
      const judged = held_out.length > 0 ? await judge(model, data, held_out, plan) : undefined
      return { model, held_out: judged, learnable: training.length }
    },
    release: () => trainer.release(),
  }
}

/** Gathers losses into points; a loss that is no number ends the run. */
const startCurve = (pace: Pace, from: Pick<Checkpoint, 'curve' | 'loss_sum' | 'step'> | undefined) => {
  const all: CurvePoint[] = [...(from?.curve ?? [])]
  let taken = 0
  let sum = from?.loss_sum ?? 0
  let since = all.at(-1)?.step ?? 0
  return {
    add(step: number, loss: number, rate: number): void {
      if (!Number.isFinite(loss))
        throw new OnnxFault(
          'unsupported',
          `The loss became ${loss} at step ${step}; a lower learning rate than ${rate} may hold it`,
        )
      sum += loss
      if (step % Math.max(1, Math.ceil(pace.steps() / CURVE_POINTS)) !== 0 && step !== pace.steps()) return
      all.push({ step, loss: sum / (step - since), rate })
      since = step
      sum = 0
    },
    taken(): CurvePoint[] {
      const points = all.slice(taken)
      taken = all.length
      return points
    },
    kept: () => ({ curve: all, loss_sum: sum }),
  }
}

/** The columns that the model and the loss read. @throws OnnxFault unsupported when the loss lacks one */
const neededColumns = (source: ModelProto, data: TrainingData, plan: RunPlan): TrainingData => {
  const needs = lossNeeds(plan.loss)
  const targets = [...(needs.labels ? [LABELS] : []), ...(needs.teacher ? [TEACHER] : [])]
  const missing = targets.find((name) => !data.columns[name])
  if (missing) throw new OnnxFault('unsupported', `The loss ${plan.loss.kind} needs ${missing}`)
  const used = new Set([...mainGraph(source).input.map(({ name }) => name ?? ''), ...targets])
  return { ...data, columns: Object.fromEntries(Object.entries(data.columns).filter(([name]) => used.has(name))) }
}

const exampleFeeds = (data: TrainingData, batch: number) =>
  Object.fromEntries(
    Object.entries(data.columns)
      .filter(([name]) => name !== LABELS && name !== TEACHER)
      .map(([name, { type, dims, sample_bytes }]) => [
        name,
        { type, dims: [batch, ...dims], bytes: new Uint8Array(batch * sample_bytes) },
      ]),
  )

const acceptedBatch = async (model: ModelProto, data: TrainingData, plan: RunPlan, batch: number): Promise<number> => {
  const predictor = await startPredictor(model, plan.output, data, { batch, threads: plan.threads })
  await predictor.release()
  return predictor.batch
}
