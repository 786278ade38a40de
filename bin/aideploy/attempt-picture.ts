import { latencyShare } from '../../layers/core/domain/evidence.ts'
import type { Attempt } from '../../layers/core/domain/optimization.ts'
import type { SearchResult } from '../../layers/optimizers/search.ts'
import { originalOf } from './attempt-table.ts'
import { kindOf, placeText } from './attempt-words.ts'
import { type PicturePoint, paretoPicture } from './pareto-picture.ts'
import { shownBytes, shownMs, shownSettings } from './words.ts'

const series = {
  original: { name: 'original', shape: 'square', tone: 'plain' },
  written: { name: 'chosen', shape: 'star', tone: 'best' },
  acceptable: { name: 'acceptable', shape: 'circle', tone: 'good' },
  inconclusive: { name: 'inconclusive', shape: 'triangle', tone: 'warn' },
  slower: { name: 'slower', shape: 'diamond', tone: 'warn' },
  'no gain': { name: 'no gain', shape: 'ring', tone: 'muted' },
  unfaithful: { name: 'unfaithful', shape: 'cross', tone: 'bad' },
} as const

type Drawn = keyof typeof series
const isDrawn = (kind: string): kind is Drawn => Object.hasOwn(series, kind)

/** `3.00 MB` as `3 MB`. */
const bare = (text: string): string => text.replace(/(\.\d*?)0+ /, '$1 ').replace('. ', ' ')

/** Size against p50 of everything that was measured, by verdict; the line is the front of the acceptable ones. */
export function attemptPicture(
  { attempts, original, target_size_bytes, target_latency_ms }: SearchResult,
  size: { width: number; height: number },
): string {
  const typical = originalOf(attempts)
  if (!typical) return ''
  const points = attempts.flatMap((attempt, index) => pointOf(attempt, index, typical.p50_ms, size.width) ?? [])
  const start: PicturePoint = {
    x: original.size_bytes,
    y: typical.p50_ms,
    title: 'original',
    label: 'original',
    series: 'original',
    important: true,
  }
  return paretoPicture([start, ...points], {
    title: `Size and p50 latency of ${points.length} candidates and their original`,
    better_y: 'low',
    series,
    ...size,
    x: {
      title: 'size of the file',
      text: (bytes) => bare(shownBytes(bytes)),
      ...(target_size_bytes !== null && {
        target: { value: target_size_bytes, label: `target ${bare(shownBytes(target_size_bytes))}` },
      }),
    },
    y: {
      title: 'p50 latency',
      text: (ms) => bare(shownMs(ms)),
      ...(target_latency_ms !== null && {
        target: { value: target_latency_ms, label: `target ${bare(shownMs(target_latency_ms))}` },
      }),
    },
  })
}

/** Latency is shown relative to the original of the same comparison, because a machine is not equally fast all day. */
function pointOf(attempt: Attempt, index: number, typical_ms: number, width: number): PicturePoint | undefined {
  const { candidate, original, latency_interval } = attempt
  const kind = kindOf(attempt)
  if (!candidate || !original || !isDrawn(kind)) return undefined
  const chosen = kind === 'written'
  const settings = shownSettings(attempt.settings)
  return {
    x: candidate.size_bytes,
    y: latencyShare({ original, candidate, latency_interval }) * typical_ms,
    title: `${placeText(attempt, index)} ${attempt.name}${settings ? ` (${settings})` : ''}, ${kind}`,
    label: chosen && width > 500 ? `#${index + 1} ${attempt.name}` : `#${index + 1}`,
    series: kind,
    front: chosen || kind === 'acceptable',
    important: chosen,
  }
}
