import type { ModelProto } from '../codec/schema.ts'
import { OnnxFault } from '../fault.ts'
import { mainGraph } from '../graph/walk.ts'
import { batches, batchOf, splitSamples, type TrainingData } from './data.ts'
import { type Judgement, judge } from './judge.ts'
import { LABELS, lossNeeds, TEACHER } from './losses.ts'
import { startPredictor } from './predict.ts'
import { rateAt, type ScheduleSpec } from './schedules.ts'
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
}

/** One point of the training curve: the mean loss of the steps since the point before. */
export interface CurvePoint {
  step: number
  loss: number
  rate: number
}

export interface TrainingRun {
  batch: number
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
  const trainer = await startTrainer(training, { threads: plan.threads })
  const order = batches(learn, batch, plan.seed)
  const drawing = startCurve(plan.steps)
  let step = 0
  return {
    batch,
    async advance(until_step, limit_ms) {
      const until = performance.now() + limit_ms
      const last = Math.min(until_step, plan.steps)
      while (step < last && performance.now() < until) {
        const rate = rateAt(plan.schedule, step + 1, plan.steps)
        const loss = await trainer.step(batchOf(seen, order.next().value ?? []), rate)
        step += 1
        drawing.add(step, loss, rate)
      }
      return { step, curve: drawing.taken() }
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
const startCurve = (steps: number) => {
  const every = Math.max(1, Math.ceil(steps / CURVE_POINTS))
  let points: CurvePoint[] = []
  let sum = 0
  return {
    add(step: number, loss: number, rate: number): void {
      if (!Number.isFinite(loss))
        throw new OnnxFault(
          'unsupported',
          `The loss became ${loss} at step ${step}; a lower learning rate than ${rate} may hold it`,
        )
      sum += loss
      if (step % every !== 0 && step !== steps) return
      points.push({ step, loss: sum / (step % every || every), rate })
      sum = 0
    },
    taken(): CurvePoint[] {
      const taken = points
      points = []
      return taken
    },
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
