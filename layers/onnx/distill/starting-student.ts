import { existsSync, renameSync, rmSync } from 'node:fs'
import { loadModel } from '../codec/read-model.ts'
import { writeModelFile } from '../codec/write-model.ts'
import type { Feeds } from '../evaluate/tensors.ts'
import { isOnnxFault } from '../fault.ts'
import { normalisedModel } from '../probe/normalise.ts'
import { pruneModel } from '../prune/prune-model.ts'
import { type DerivedStudent, studentOf } from './students.ts'

export interface StartingStudent {
  notes: string[]
  /** Its layers answer already about what the teacher's do. */
  fitted: boolean
}

interface Wanted {
  model_path: string
  student_path: string
  wanted: DerivedStudent
  /** Rows that choose channels and fit layers. */
  samples: readonly Feeds[]
}

const FIT_SAMPLES = 4096
const SEED = 1

/**
 * Writes the student that training starts with. A narrower one is the teacher pruned by what its channels do on the samples, its layers
 * fitted by least squares, wherever that can be; it learns in a fraction of the steps of one cut by its weights alone. One that is there
 * already is from a run that was ended, and stays.
 * @throws OnnxFault unsupported when the family has nothing to take from this teacher
 */
export async function startingStudent({ model_path, student_path, wanted, samples }: Wanted): Promise<StartingStudent> {
  const fitted = wanted.kind === 'narrower'
  if (existsSync(student_path)) return { notes: [`${wanted.kind} student as derived before`], fitted }
  const beside = `${student_path}.new`
  try {
    if (fitted) {
      const notes = await pruned({ model_path, student_path: beside, wanted, samples })
      if (notes) {
        renameSync(beside, student_path)
        return { notes, fitted }
      }
    }
    const teacher = (await normalisedModel(model_path, `${student_path}.normalised`)) ?? loadModel(model_path)
    const { model, notes } = studentOf(teacher, wanted, SEED)
    writeModelFile(model, beside)
    renameSync(beside, student_path)
    return { notes: [`${wanted.kind} student: ${notes.length > 4 ? `${notes.length} places` : notes.join(', ')}`], fitted: false }
  } finally {
    for (const path of [beside, `${student_path}.normalised`]) rmSync(path, { force: true })
  }
}

async function pruned({ model_path, student_path, wanted, samples }: Wanted): Promise<string[] | undefined> {
  try {
    const { notes } = await pruneModel({
      model_path,
      candidate_path: student_path,
      sparsity: 1 - wanted.share,
      structure: 'structured',
      samples: samples.slice(0, FIT_SAMPLES),
    })
    return notes.slice(0, 2)
  } catch (error) {
    if (isOnnxFault(error) && error.code === 'unsupported') return undefined
    throw error
  }
}
