import type { Label } from './labels.ts'
import { labelFault, type Outputs, type Tally, type Weights, weightOf } from './task-tally.ts'
import { numbersOf, type TensorValue } from './tensors.ts'

/** Intersection over union from which a box counts as found. */
const FOUND_FROM = 0.5

interface Detection {
  box: readonly number[]
  score: number
  kind: number
}

/** Where the boxes of a detector's answer stand: one output of [x1, y1, x2, y2, score, class] rows, or three side by side. */
export type BoxOutputs = { rows: string } | { boxes: string; scores: string; classes: string }

/** The outputs that hold boxes; undefined when none do. `name` picks the single one. */
export function boxOutputs(outputs: Outputs, name: string | undefined): BoxOutputs | undefined {
  const all = Object.entries(outputs)
  const rows = all.find(([each, value]) => (name === undefined || each === name) && value.dims.at(-1) === 6)
  if (rows) return { rows: rows[0] }
  const named = (pattern: RegExp): string | undefined => all.find(([each]) => pattern.test(each))?.[0]
  const boxes = all.find(([each, value]) => /box/i.test(each) && value.dims.at(-1) === 4)?.[0]
  const [scores, classes] = [named(/score|conf/i), named(/label|class/i)]
  return boxes !== undefined && scores !== undefined && classes !== undefined ? { boxes, scores, classes } : undefined
}

const numbers = (value: TensorValue | undefined): Float64Array => (value && numbersOf(value)) ?? new Float64Array()

function detectionsOf(outputs: Outputs, where: BoxOutputs): Detection[] {
  if ('rows' in where) {
    const values = numbers(outputs[where.rows])
    return Array.from({ length: Math.floor(values.length / 6) }, (_, at) => {
      const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, score = 0, kind = -1] = values.subarray(at * 6, at * 6 + 6)
      return { box: [x1, y1, x2, y2], score, kind: Math.round(kind) }
    }).filter(({ score }) => score > 0)
  }
  const [boxes, scores, classes] = [where.boxes, where.scores, where.classes].map((name) => numbers(outputs[name]))
  return Array.from(scores ?? [], (score, at) => ({
    box: [...(boxes?.subarray(at * 4, at * 4 + 4) ?? [])],
    score,
    kind: Math.round(classes?.[at] ?? -1),
  })).filter(({ score }) => score > 0)
}

function overlap(a: readonly number[], b: readonly number[]): number {
  const [ax1 = 0, ay1 = 0, ax2 = 0, ay2 = 0] = a
  const [bx1 = 0, by1 = 0, bx2 = 0, by2 = 0] = b
  const shared = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) * Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1))
  const both = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
  return both > 0 ? shared / both : 0
}

/** The boxes of a label, or the fault. */
function wantedOf(label: Label, place: number): number[][] {
  const boxes = Array.isArray(label) ? label.filter((each) => Array.isArray(each)) : []
  if (!Array.isArray(label) || boxes.length !== label.length || boxes.some((box) => box.length !== 5))
    throw labelFault(place, label, 'boxes [x1, y1, x2, y2, class]')
  return boxes
}

interface Judged {
  row: number
  score: number
  right: boolean
}

interface Kind {
  judged: Judged[]
  /** How many boxes of this class each row wants. */
  wanted: Map<number, number>
}

/**
 * Mean average precision at an overlap of 0.5: a detection is right when it is the likeliest of its class over a labelled box of which
 * half is covered; the area under precision by recall, interpolated at all points, mean over the classes that labels name. Source:
 * Everingham et al., The PASCAL VOC Challenge (2010 and later rule), http://host.robots.ox.ac.uk/pascal/VOC.
 */
export function boxesTally(where: BoxOutputs): Tally {
  const kinds = new Map<number, Kind>()
  const kindOf = (kind: number): Kind => {
    const known = kinds.get(kind) ?? { judged: [], wanted: new Map() }
    kinds.set(kind, known)
    return known
  }
  let rows = 0
  let sorted = false
  return {
    add(outputs, label, place) {
      const wanted = wantedOf(label, place)
      for (const box of wanted) {
        const counts = kindOf(box[4] ?? 0).wanted
        counts.set(rows, (counts.get(rows) ?? 0) + 1)
      }
      for (const { kind, score, right } of judged(detectionsOf(outputs, where), wanted))
        kindOf(kind).judged.push({ row: rows, score, right })
      rows += 1
      sorted = false
    },
    value(weights) {
      if (!sorted) for (const { judged: all } of kinds.values()) all.sort((a, b) => b.score - a.score)
      sorted = true
      const precisions = [...kinds.values()].flatMap((kind) => averagePrecision(kind, weights) ?? [])
      return precisions.length > 0 ? precisions.reduce((sum, each) => sum + each, 0) / precisions.length : 0
    },
  }
}

/** Each detection with whether it is right; likelier ones choose first, and a labelled box is found once. */
function judged(detections: Detection[], wanted: number[][]): { kind: number; score: number; right: boolean }[] {
  const found = new Set<number>()
  return detections
    .toSorted((a, b) => b.score - a.score)
    .map(({ box, score, kind }) => {
      let best = -1
      let most = FOUND_FROM
      for (const [at, each] of wanted.entries()) {
        const covered = each[4] === kind && !found.has(at) ? overlap(box, each) : 0
        if (covered >= most) [best, most] = [at, covered]
      }
      if (best >= 0) found.add(best)
      return { kind, score, right: best >= 0 }
    })
}

/** Of one class; undefined where no label names it. */
function averagePrecision({ judged: all, wanted }: Kind, weights: Weights | undefined): number | undefined {
  let total = 0
  for (const [row, count] of wanted) total += count * weightOf(weights, row)
  if (total === 0) return undefined
  const recalls: number[] = []
  const precisions: number[] = []
  let right = 0
  let seen = 0
  for (const each of all) {
    const weight = weightOf(weights, each.row)
    if (weight === 0) continue
    seen += weight
    if (each.right) right += weight
    recalls.push(right / total)
    precisions.push(right / seen)
  }
  let area = 0
  let best = 0
  for (let at = recalls.length - 1; at >= 0; at -= 1) {
    best = Math.max(best, precisions[at] ?? 0)
    area += best * ((recalls[at] ?? 0) - (recalls[at - 1] ?? 0))
  }
  return area
}
