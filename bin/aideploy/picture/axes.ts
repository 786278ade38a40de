import { escapeHtml as e } from '../../../layers/core/domain/report-html.ts'
import type { PictureOptions } from '../pareto-picture.ts'
import { mark } from './marks.ts'
import { type Box, FONT_PX, overlap, textWidth } from './place-labels.ts'
import type { Scale } from './scale.ts'

type Place = (value: number) => number

const TICK_ROOM_LEFT = 72
const TICK_ROOM_BELOW = 40
const ROOM_ABOVE = 30
const ROOM_RIGHT = 14
const LEGEND_ROW = 20

/** Where the plane lies in the picture. */
export const frame = (width: number, height: number, legend_px: number): Box => ({
  left: Math.min(TICK_ROOM_LEFT, width * 0.17),
  top: ROOM_ABOVE,
  right: width - ROOM_RIGHT,
  bottom: height - TICK_ROOM_BELOW - legend_px,
})

const n = (value: number): string => value.toFixed(1)

/** Where the middle of a text of this half width must be to end before `right`. */
const within = (middle: number, half: number, right: number): number => Math.min(middle, right - half)

/** Grid, tick texts and axis titles: y's above the plane, x's below it. */
export function gridLines({ x, y }: PictureOptions, scales: { x: Scale; y: Scale }, box: Box, px: Place, py: Place): string {
  const vertical = scales.x.ticks.map(
    (tick) =>
      `<path class="p-grid" d="M${n(px(tick))} ${n(box.top)}V${n(box.bottom)}"/><text class="p-soft" text-anchor="middle" x="${n(within(px(tick), textWidth(x.text(tick)) / 2, box.right + ROOM_RIGHT))}" y="${n(box.bottom + 16)}">${e(x.text(tick))}</text>`,
  )
  const horizontal = scales.y.ticks.map(
    (tick) =>
      `<path class="p-grid" d="M${n(box.left)} ${n(py(tick))}H${n(box.right)}"/><text class="p-soft" text-anchor="end" x="${n(box.left - 7)}" y="${n(py(tick) + 4)}">${e(y.text(tick))}</text>`,
  )
  const log = (scale: Scale): string => (scale.log ? ' · log scale' : '')
  const zeros = [
    x.zero === undefined ? '' : `<path class="p-edge" d="M${n(px(x.zero))} ${n(box.top)}V${n(box.bottom)}"/>`,
    y.zero === undefined ? '' : `<path class="p-edge" d="M${n(box.left)} ${n(py(y.zero))}H${n(box.right)}"/>`,
  ]
  return [
    ...vertical,
    ...horizontal,
    ...zeros,
    `<path class="p-edge" d="M${n(box.left)} ${n(box.top)}V${n(box.bottom)}H${n(box.right)}"/>`,
    `<text class="p-soft" x="4" y="${n(box.top - 12)}">${e(y.title + log(scales.y))}</text>`,
    `<text class="p-soft" text-anchor="end" x="${n(box.right)}" y="${n(box.bottom + 34)}">${e(x.title + log(scales.x))}</text>`,
  ].join('\n')
}

const TEXT_PX = 16
/** Lines count as this wide for labels, which keep clear of them. */
const LINE_PX = 3

const boxAt = (left: number, top: number, width: number): Box => ({ left, right: left + width, top, bottom: top + TEXT_PX })

/** The first of the places that covers least of the marks and stays in the plane. */
const leastCovered = (places: readonly Box[], marks: readonly Box[], box: Box): Box => {
  const cost = (place: Box): number =>
    marks.reduce((sum, other) => sum + overlap(place, other), 0) + (place.left < box.left || place.right > box.right ? 1e6 : 0)
  return places.reduce((best, place) => (cost(place) < cost(best) ? place : best))
}

/**
 * Lines at the targets, what lies within all of them shaded, their texts where they cover no mark if there is such a place, and the
 * boxes of all that, which labels keep clear of.
 */
export function targetLines(
  { x, y, better_y }: PictureOptions,
  box: Box,
  marks: readonly Box[],
  px: Place,
  py: Place,
): { svg: string; boxes: Box[] } {
  if (!x.target && !y.target) return { svg: '', boxes: [] }
  const across = x.target ? px(x.target.value) : box.right
  const limit = y.target ? py(y.target.value) : better_y === 'low' ? box.top : box.bottom
  const [top, bottom] = better_y === 'low' ? [limit, box.bottom] : [box.top, limit]
  const parts = [
    `<rect class="p-region" x="${n(box.left)}" y="${n(top)}" width="${n(across - box.left)}" height="${n(bottom - top)}"/>`,
  ]
  const boxes: Box[] = []
  const write = (line: Box, path: string, label: string, places: readonly Box[]) => {
    const at = leastCovered(places, [...marks, ...boxes], box)
    parts.push(
      `<path class="p-target" d="${path}"/><text class="p-targettext" x="${n(at.left + 2)}" y="${n(at.bottom - 4)}">${e(label)}</text>`,
    )
    boxes.push(at, line)
  }
  if (x.target) {
    const width = textWidth(x.target.label)
    const tops = [box.top + 2, box.bottom - 20, (box.top + box.bottom) / 2]
    const places = tops.flatMap((at) => [boxAt(across + 4, at, width), boxAt(across - 4 - width, at, width)])
    const line = { left: across - LINE_PX / 2, right: across + LINE_PX / 2, top: box.top, bottom: box.bottom }
    write(line, `M${n(across)} ${n(box.top)}V${n(box.bottom)}`, x.target.label, places)
  }
  if (y.target) {
    const width = textWidth(y.target.label)
    const lefts = [box.right - width, box.left + 4, (box.left + box.right - width) / 2]
    const places = lefts.flatMap((at) => [boxAt(at, limit - TEXT_PX - 2, width), boxAt(at, limit + 2, width)])
    const line = { left: box.left, right: box.right, top: limit - LINE_PX / 2, bottom: limit + LINE_PX / 2 }
    write(line, `M${n(box.left)} ${n(limit)}H${n(box.right)}`, y.target.label, places)
  }
  return { svg: parts.join('\n'), boxes }
}

/** The series that have points, in rows at the foot. */
export function legend({ series, height = 480 }: PictureOptions, used: ReadonlySet<string>, width: number) {
  const rows: { x: number; key: string }[][] = [[]]
  let x = 8
  for (const [key, { name }] of Object.entries(series)) {
    if (!used.has(key)) continue
    const wide = 18 + textWidth(name, FONT_PX) + 14
    if (x + wide > width && rows.at(-1)!.length > 0) {
      rows.push([])
      x = 8
    }
    rows.at(-1)!.push({ x, key })
    x += wide
  }
  const room = rows.length * LEGEND_ROW
  const svg = rows.flatMap((row, at) =>
    row.map(({ x: left, key }) => {
      const y = height - room + at * LEGEND_ROW + 10
      const { name, shape, tone } = series[key]!
      return `${mark(shape, tone, left + 8, y, 5)}<text class="p-soft" x="${n(left + 19)}" y="${n(y + 4)}">${e(name)}</text>`
    }),
  )
  return { svg: svg.join('\n'), height: room + 6 }
}
