import { rmSync } from 'node:fs'
import { type CalibrationMethod, observe, rangesOf } from '../../calibrate/calibrate.ts'
import { readModel, readModelFile } from '../../codec/read-model.ts'
import { encodeModel, writeModelFile } from '../../codec/write-model.ts'
import type { Feeds } from '../../evaluate/tensors.ts'
import { OnnxFault } from '../../fault.ts'
import { simplify } from '../../graph/simplify.ts'
import { upgradeOpset } from '../../graph/upgrade.ts'
import { int8Support } from '../../probe/isa.ts'
import { normalisedModel } from '../../probe/normalise.ts'
import { assertFused, auditFusion } from '../audit.ts'
import { referenceFor, sqnrAgainst } from '../measure.ts'
import { chooseWeightType } from '../weight-type.ts'
import { setAside } from './held-out.ts'
import { holdStatic, mixedStatic, productsIn } from './mixed.ts'
import { productGrams } from './product-grams.ts'
import { quantizeStatic } from './quantize-static.ts'
import { defaultStaticSettings, type StaticReport, type StaticSettings } from './settings.ts'
import type { AxisWeights } from './weight.ts'

export interface StaticJob {
  model_path: string
  candidate_path: string
  /** For ranges. */
  samples: readonly Feeds[]
  /** For choosing between methods and weight types; must not be the same. A third of `samples` is set aside when absent. */
  held_out?: readonly Feeds[]
  /** Tried in this order, the best by measured SQNR wins. */
  methods?: readonly CalibrationMethod[]
  settings?: Partial<StaticSettings>
  /** Also tries weights rounded in order (GPTQ), keeps them where they measure better. Takes seconds: unless told, below 30 dB only. */
  ordered?: boolean
  /** SQNR that is enough: the fastest weight type that keeps it is taken, not the most exact one. */
  wanted_db?: number
  /** SQNR that must be kept: the fewest of the most sensitive products compute in floats, their weights stored as int8 all the same. */
  hold_sqnr_db?: number | undefined
}

export interface StaticMade extends StaticReport {
  method: CalibrationMethod
  settings: StaticSettings
  sqnr_db: number
  /** Whether the weights were rounded in order. */
  ordered: boolean
  /** Bytes of the candidate. */
  size_bytes: number
  /** First outputs of the products that compute in floats to hold an SQNR, most sensitive first. */
  dropped: string[]
}

/** Rounding in order is for what is not good enough without. */
const ENOUGH_DB = 30
const METHODS: readonly CalibrationMethod[] = ['percentile', 'mse', 'min_max']

/**
 * A static int8 candidate from a model file: folds constants, observes the samples once, tries calibration methods and weight types
 * on held-out samples, audits the fusion and writes the best. Runs models in this process, which for foreign ones must be one that
 * may die.
 * @throws OnnxFault unsupported when nothing can be quantized, or what is would compute in floats (names the nodes)
 */
export async function makeStatic(job: StaticJob): Promise<StaticMade> {
  const [samples, held_out] = job.held_out ? [job.samples, job.held_out] : setAside(job.samples)
  const scratch_path = `${job.candidate_path}.scratch`
  try {
    const source = (await normalisedModel(job.model_path, scratch_path)) ?? readModelFile(job.model_path)
    upgradeOpset(source, 13)
    simplify(source)
    const bytes = encodeModel(source)
    const original = readModel(bytes)
    const reference = await referenceFor(original, held_out)
    const statistics = await observe(original, samples)
    const first = { ...defaultStaticSettings, ...job.settings }
    const tries: { method: CalibrationMethod; sqnr_db: number }[] = []
    for (const method of job.methods ?? METHODS) {
      const candidate = readModel(bytes)
      quantizeStatic(candidate, rangesOf(statistics, { method }), first)
      tries.push({ method, sqnr_db: await sqnrAgainst(reference, candidate) })
    }
    const [{ method, sqnr_db: reached } = { method: 'min_max' as const, sqnr_db: 0 }] = tries.toSorted(
      (a, b) => b.sqnr_db - a.sqnr_db,
    )
    const ranges = rangesOf(statistics, { method })
    const grams = (job.ordered ?? reached < ENOUGH_DB) ? await productGrams(original, samples) : undefined
    const build = (weight_type: StaticSettings['weight_type'], ordered = grams !== undefined) => {
      const settings = { ...first, weight_type, ...(ordered && grams ? { grams } : {}) }
      return { ...mixedStatic(readModel(bytes), ranges, settings, new Set()), ordered }
    }
    const weight_type =
      job.settings?.weight_type ??
      (await chooseWeightType(int8Support(), reference, (type) => build(type).model, job.wanted_db)).weight_type
    const tried = [build(weight_type, false), ...(grams ? [build(weight_type)] : [])]
    let best: (typeof tried)[number] & { sqnr_db: number } = { ...tried[0]!, sqnr_db: Number.NEGATIVE_INFINITY }
    for (const made of tried) {
      const sqnr_db = await sqnrAgainst(reference, made.model)
      if (sqnr_db > best.sqnr_db) best = { ...made, sqnr_db }
    }
    const { ordered } = best
    const settings = { ...first, weight_type, ...(ordered && grams ? { grams } : {}), memo: new Map<string, AxisWeights>() }
    const { model, report, sqnr_db, dropped } =
      job.hold_sqnr_db === undefined
        ? { ...best, dropped: [] }
        : await holdStatic(job.hold_sqnr_db, reference, best, productsIn(original, first), {
            mixed: (exclude) => mixedStatic(readModel(bytes), ranges, settings, exclude),
            plain: (exclude) => {
              const model = readModel(bytes)
              const nodes_to_exclude = [...(first.nodes_to_exclude ?? []), ...exclude]
              quantizeStatic(model, ranges, { ...settings, nodes_to_exclude })
              return model
            },
          })
    if (Object.keys(report.quantized).length === 0)
      throw new OnnxFault('unsupported', `Nothing could be quantized: ${Object.keys(report.left).join(', ') || 'no product'}`)
    assertFused(await auditFusion(encodeModel(model), scratch_path))
    const size_bytes = writeModelFile(model, job.candidate_path)
    return { ...report, method, settings: { ...first, weight_type }, sqnr_db, ordered, size_bytes, dropped }
  } finally {
    rmSync(scratch_path, { force: true })
  }
}
