import { loadModel } from '../codec/read-model.ts'
import type { ModelProto } from '../codec/schema.ts'
import { modelSize, writeModelFile } from '../codec/write-model.ts'
import { OnnxFault } from '../fault.ts'
import { dropUnused } from '../graph/edit.ts'
import { splitSamples, type TrainingData } from '../train/data.ts'
import { type Judgement, judge } from '../train/judge.ts'
import { LABELS, type LossSpec, TEACHER } from '../train/losses.ts'
import { startPredictor } from '../train/predict.ts'
import { openRun, type TrainingRun } from '../train/run.ts'
import { type Scores, scoresOf } from '../train/scores.ts'
import { copyModel } from '../train/trainable.ts'
import type { Advanced, Finished, Opened, TrainingJob } from './job.ts'
import { samplesFor } from './samples.ts'
import { givenStudent, type Student, studentOf } from './students.ts'

/** Larger answers of a teacher would fill the memory that training needs. */
const MOST_CACHED_BYTES = 2 ** 30

export interface JobRun {
  opened: Opened
  advance(until_step: number, limit_ms: number): Promise<Advanced>
  finish(): Promise<Finished>
}

/**
 * Carries a training job out in this process, which must be one that may die: models and data are foreign. The teacher is asked once
 * for every sample; training reads its answers.
 * @throws OnnxFault unsupported; ArrayFault for data that do not fit the model
 */
export const openJob = async (job: TrainingJob): Promise<JobRun> => {
  const teacher = job.teacher_path === null ? undefined : loadModel(job.teacher_path)
  const student = makeStudent(teacher, job)
  const wanted = scoresOf(student.model, job.output)
  const data = await samplesFor(student.model, job.data, job.seed, wanted.name)
  const kind = lossKind(job, wanted, teacher !== undefined, data)
  if (teacher) data.columns[TEACHER] = await askTeacher(teacher, scoresOf(teacher, job.output), data, job)
  if (teacher) await checkShapes(student.model, wanted, data)
  const loss = lossOf(job, kind, data)
  const plan = { ...job, loss, output: wanted.name, optimizer: job.optimizer, parameters: undefined }
  const run: TrainingRun = await openRun(student.model, data, plan)
  const { held_out } = splitSamples(data.samples, job.held_out_share, job.seed)
  const before = held_out.length === 0 ? undefined : await judge(student.model, data, held_out, plan)
  return {
    opened: {
      notes: student.notes,
      loss: loss.kind,
      batch: run.batch,
      resumed_at: run.resumed_at,
      samples: data.samples,
      before,
    },
    advance: async (until_step, limit_ms) => ({ ...(await run.advance(until_step, limit_ms)), steps: run.steps() }),
    async finish() {
      const { model, held_out: after, learnable } = await run.result()
      await run.release()
      const withdrawn = isWorse(after, before)
      const written = withdrawn ? copyModel(student.model) : model
      dropUnused(written)
      writeModelFile(written, job.candidate_path)
      return { after: withdrawn ? before : after, withdrawn, size_bytes: modelSize(written), learnable_weights: learnable }
    },
  }
}

/** By what training was after: labels where there are any, else the teacher's decisions, else its values. */
const isWorse = (after: Judgement | undefined, before: Judgement | undefined): boolean => {
  if (!after || !before) return false
  if (after.accuracy !== undefined && before.accuracy !== undefined) return after.accuracy < before.accuracy
  if (after.agreement !== undefined && before.agreement !== undefined && after.agreement !== before.agreement)
    return after.agreement < before.agreement
  return (after.teacher_mse ?? 0) > (before.teacher_mse ?? 0)
}

const makeStudent = (teacher: ModelProto | undefined, job: TrainingJob): Student => {
  if (job.student.kind === 'given') return givenStudent(job.student.model_path)
  if (!teacher) throw new OnnxFault('unsupported', `A ${job.student.kind} student is derived from a teacher, and none was given`)
  return studentOf(teacher, job.student, job.seed)
}

const lossKind = (job: TrainingJob, wanted: Scores, taught: boolean, data: TrainingData): LossSpec['kind'] => {
  const labelled = data.columns[LABELS] !== undefined
  if (!taught && !labelled) throw new OnnxFault('unsupported', 'Nothing to learn from: neither a teacher nor labels')
  if (job.loss !== undefined && job.loss !== 'auto') return job.loss
  if (!taught) return 'cross_entropy'
  return labelled || wanted.kind === 'scores' ? 'distillation' : 'mse'
}

const lossOf = (job: TrainingJob, kind: LossSpec['kind'], data: TrainingData): LossSpec => {
  if (kind !== 'distillation') return { kind }
  const labelled = data.columns[LABELS] !== undefined
  const taught = data.columns[TEACHER] !== undefined
  return { kind, temperature: job.temperature, alpha: !labelled ? 1 : taught ? job.alpha : 0 }
}

/** @throws OnnxFault unsupported when teacher and student answer in different shapes */
const checkShapes = async (student: ModelProto, wanted: Scores, data: TrainingData): Promise<void> => {
  const predictor = await startPredictor(student, wanted.name, data, { batch: 1, threads: 1 })
  const { dims } = await predictor.predict(data, [0])
  await predictor.release()
  const taught = data.columns[TEACHER]?.dims ?? []
  if (dims.length !== taught.length || dims.some((size, axis) => size !== taught[axis]))
    throw new OnnxFault(
      'unsupported',
      `For each sample the teacher answers [${taught}], but the student's "${wanted.name}" is [${dims}]`,
    )
}

const askTeacher = async (teacher: ModelProto, scores: Scores, data: TrainingData, job: TrainingJob) => {
  const predictor = await startPredictor(teacher, scores.name, data, {
    batch: Math.min(job.batch, data.samples),
    threads: job.threads,
  })
  try {
    const first = await predictor.predict(data, [0])
    if (first.sample_bytes * data.samples > MOST_CACHED_BYTES)
      throw new OnnxFault(
        'unsupported',
        `The teacher's answers take ${first.sample_bytes * data.samples} bytes; wanted at most ${MOST_CACHED_BYTES}`,
      )
    return await predictor.predict(
      data,
      Array.from({ length: data.samples }, (_, sample) => sample),
    )
  } finally {
    await predictor.release()
  }
}
