import { escapeHtml as e } from '../../layers/core/domain/report-html.ts'
import { frame as frameOf, gridLines, legend, targetLines } from './picture/axes.ts'
import { mark, type Shape, type Tone, tones } from './picture/marks.ts'
import { type Box, FONT_PX, placeLabels } from './picture/place-labels.ts'
import { scaleOf } from './picture/scale.ts'

export interface PicturePoint {
  x: number
  y: number
  /** What the mark is called where it is pointed at. */
  title: string
  /** Written beside the mark; absent: nothing. */
  label?: string
  /** Key of `series`. */
  series: string
  /** Candidate for the front line; those of them that another one beats in both x and y are left out of it. */
  front?: boolean
  /** Drawn with its label even where the picture is full. */
  important?: boolean
}

export interface PictureAxis {
  title: string
  /** Text of a value, e.g. `1.2 MB`. */
  text(value: number): string
  /** A line at this value. */
  target?: { value: number; label: string }
  /** A thin line at this value, e.g. 1 where nothing changes. */
  zero?: number
}

export interface PictureOptions {
  /** Read out instead of the picture. */
  title: string
  x: PictureAxis
  y: PictureAxis
  /** Which end of y is better; less of x always is. */
  better_y: 'low' | 'high'
  /** In the order of the legend; series without a point are left out of it. */
  series: Record<string, { name: string; shape: Shape; tone: Tone }>
  width?: number
  height?: number
}

/**
 * Points in a plane with their front as one `<svg>` element: no scripts, no fonts, nothing from elsewhere; dark where the reader prefers
 * dark. Axes are logarithmic where values lie far apart. Points without finite coordinates are left out; all text is escaped.
 */
export function paretoPicture(points: readonly PicturePoint[], options: PictureOptions): string {
  const shown = points.filter(({ x, y, series }) => Number.isFinite(x) && Number.isFinite(y) && options.series[series])
  const { width = 860, height = 480 } = options
  const rows = legend(options, new Set(shown.map(({ series }) => series)), width)
  const frame = frameOf(width, height, rows.height)
  const values = (of: 'x' | 'y') => [
    ...shown.map((point) => point[of]),
    ...(options[of].target ? [options[of].target.value] : []),
  ]
  const x = scaleOf(values('x').length > 0 ? values('x') : [0, 1], Math.floor((frame.right - frame.left) / 90))
  const y = scaleOf(values('y').length > 0 ? values('y') : [0, 1], Math.floor((frame.bottom - frame.top) / 50))
  const px = (value: number): number => frame.left + x.at(value) * (frame.right - frame.left)
  const py = (value: number): number => frame.bottom - y.at(value) * (frame.bottom - frame.top)
  const marks = shown.map((point) => markBox(point, px, py))
  const targets = targetLines(options, frame, marks, px, py)
  const parts = [
    gridLines(options, { x, y }, frame, px, py),
    targets.svg,
    frontLine(shown, options.better_y, px, py),
    ...drawnOrder(shown).map((point) => markOf(point, options, px, py)),
    labelsOf(shown, options, frame, [...marks, ...targets.boxes], px, py),
    rows.svg,
  ]
  return `<svg class="pareto" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${e(options.title)}" font-size="${FONT_PX}"><style>${tones}</style><title>${e(options.title)}</title>
${parts.join('\n')}
</svg>`
}

type Place = (value: number) => number

/** What matters is drawn last, on top. */
const drawnOrder = (points: readonly PicturePoint[]): PicturePoint[] =>
  points.toSorted((a, b) => Number(a.important ?? false) - Number(b.important ?? false))

const markBox = (point: PicturePoint, px: Place, py: Place): Box => {
  const [x, y, r] = [px(point.x), py(point.y), radiusOf(point) + 1]
  return { left: x - r, right: x + r, top: y - r, bottom: y + r }
}

const radiusOf = (point: PicturePoint): number => (point.important ? 7 : 5)

function markOf(point: PicturePoint, options: PictureOptions, px: Place, py: Place): string {
  const { shape, tone } = options.series[point.series]!
  const figure = mark(shape, tone, px(point.x), py(point.y), radiusOf(point))
  return `<g>${figure}<title>${e(`${point.title}: ${options.x.text(point.x)}, ${options.y.text(point.y)}`)}</title></g>`
}

/** The points that no other one beats in both, leftmost first. */
export function frontOf<Point extends { x: number; y: number }>(points: readonly Point[], better_y: 'low' | 'high'): Point[] {
  const sign = better_y === 'low' ? 1 : -1
  const sorted = points.toSorted((a, b) => a.x - b.x || sign * (a.y - b.y))
  return sorted.filter((point, at) => sorted.slice(0, at).every((other) => sign * point.y < sign * other.y))
}

/** Steps, because what lies between two candidates does not exist. */
function frontLine(points: readonly PicturePoint[], better_y: 'low' | 'high', px: Place, py: Place): string {
  const front = frontOf(
    points.filter((point) => point.front),
    better_y,
  )
  if (front.length < 2) return ''
  const [first, ...rest] = front
  const steps = rest.map((point) => `H${px(point.x).toFixed(1)}V${py(point.y).toFixed(1)}`).join('')
  return `<path class="p-front" d="M${px(first!.x).toFixed(1)} ${py(first!.y).toFixed(1)}${steps}"/>`
}

function labelsOf(
  points: readonly PicturePoint[],
  options: PictureOptions,
  frame: Box,
  taken: readonly Box[],
  px: Place,
  py: Place,
): string {
  const rank = (point: PicturePoint): number => (point.important ? 0 : point.front ? 1 : 2)
  const wanted = points
    .filter((point) => point.label !== undefined)
    .toSorted((a, b) => rank(a) - rank(b))
    .map((point) => ({
      x: px(point.x),
      y: py(point.y),
      text: point.label ?? '',
      radius: radiusOf(point),
      must: point.important ?? false,
      tone: options.series[point.series]?.tone,
    }))
  return placeLabels(wanted, taken, frame)
    .map(({ text, x, y, leader, of }) => {
      const line = leader
        ? `<path class="p-leader" d="M${leader.x1.toFixed(1)} ${leader.y1.toFixed(1)}L${leader.x2.toFixed(1)} ${leader.y2.toFixed(1)}"/>`
        : ''
      return `${line}<text class="p-ink${of.must ? ' p-strong' : ''}" x="${x.toFixed(1)}" y="${y.toFixed(1)}">${e(text)}</text>`
    })
    .join('\n')
}
