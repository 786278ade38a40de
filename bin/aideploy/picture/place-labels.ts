/** Pixels, y downwards. */
export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

export interface WantedLabel {
  x: number
  y: number
  text: string
  /** Pixels of the mark the label belongs to, from its middle. */
  radius: number
  /** Must be drawn even where it covers something; else it is left out when no place is free. */
  must: boolean
}

export interface PlacedLabel {
  text: string
  /** Left end of the baseline. */
  x: number
  y: number
  /** From the mark to the text where these are apart. */
  leader?: { x1: number; y1: number; x2: number; y2: number }
  of: WantedLabel
}

export const FONT_PX = 12
const LINE_PX = 15
/** Widths of sans-serif letters differ; what stands in for them here is on the wide side, so that boxes are never too small. */
export const textWidth = (text: string, font_px = FONT_PX): number =>
  [...text].reduce((width, char) => width + (/[\u1100-\uffff]/.test(char) ? 1 : /[MW@%mw]/.test(char) ? 0.92 : 0.6), 0) * font_px

/** Square pixels that two boxes share. */
export const overlap = (a: Box, b: Box): number =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top))

const outside = (box: Box, frame: Box): number => {
  const area = (box.right - box.left) * (box.bottom - box.top)
  return area - overlap(box, frame)
}

/** Around the mark: right, left, above, below, then the corners; further away each time round. */
const directions: readonly (readonly [number, number])[] = [
  [1, 0],
  [0, -1],
  [-1, 0],
  [0, 1],
  [1, -1],
  [-1, -1],
  [1, 1],
  [-1, 1],
]
const distances = [4, 16, 30, 48, 70]

/**
 * Places for labels beside their marks, in the order given, so that none covers another, a mark (`taken`) or the frame's edge. Greedy:
 * the first free place of 40 is taken; without one a label that must be drawn goes where it covers least, any other is left out.
 */
export function placeLabels(labels: readonly WantedLabel[], taken: readonly Box[], frame: Box): PlacedLabel[] {
  const occupied = [...taken]
  const placed: PlacedLabel[] = []
  for (const label of labels) {
    const tries = distances.flatMap((distance) =>
      directions.map(([across, down]) => ({ distance, box: boxAt(label, across, down, distance) })),
    )
    const cost = (box: Box): number => occupied.reduce((sum, other) => sum + overlap(box, other), 0) + 4 * outside(box, frame)
    const free = tries.find(({ box }) => cost(box) === 0)
    const chosen = free ?? (label.must ? tries.toSorted((a, b) => cost(a.box) - cost(b.box))[0] : undefined)
    if (!chosen) continue
    occupied.push(chosen.box)
    placed.push(placedAt(label, chosen.box, chosen.distance))
  }
  return placed
}

function boxAt({ x, y, text, radius }: WantedLabel, across: number, down: number, distance: number): Box {
  const width = textWidth(text)
  const away = radius + distance
  const left = across > 0 ? x + away : across < 0 ? x - away - width : x - width / 2
  const middle = y + down * (away + LINE_PX / 2)
  return { left, right: left + width, top: middle - LINE_PX / 2, bottom: middle + LINE_PX / 2 }
}

function placedAt(label: WantedLabel, box: Box, distance: number): PlacedLabel {
  const text = { text: label.text, x: box.left, y: box.bottom - 4, of: label }
  if (distance <= 4) return text
  const x2 = Math.min(Math.max(label.x, box.left), box.right)
  const y2 = Math.min(Math.max(label.y, box.top), box.bottom)
  const far = Math.hypot(x2 - label.x, y2 - label.y)
  const share = label.radius / Math.max(far, 1)
  return { ...text, leader: { x1: label.x + (x2 - label.x) * share, y1: label.y + (y2 - label.y) * share, x2, y2 } }
}
