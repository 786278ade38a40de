import { describe, expect, it } from 'vitest'
import { frontOf, type PictureOptions, type PicturePoint, paretoPicture } from '../../../bin/aideploy/pareto-picture.ts'
import { placeLabels, textWidth } from '../../../bin/aideploy/picture/place-labels.ts'
import { scaleOf } from '../../../bin/aideploy/picture/scale.ts'
import { seeded } from '../../support/processes.ts'

const options: PictureOptions = {
  title: 'T',
  better_y: 'low',
  series: { a: { name: 'first', shape: 'circle', tone: 'good' }, b: { name: 'second', shape: 'cross', tone: 'bad' } },
  x: { title: 'x', text: (value) => `${value}`, target: { value: 50, label: 'wanted x' } },
  y: { title: 'y', text: (value) => `${value}` },
}
const cloud = (count: number, seed: number): PicturePoint[] => {
  const random = seeded(seed)
  return Array.from({ length: count }, (_, at) => ({
    x: 1 + 99 * random() ** 3,
    y: 1 + 20 * random(),
    title: `t${at}`,
    label: `#${at + 1} name`,
    series: at % 2 === 0 ? 'a' : 'b',
    front: at % 2 === 0,
    important: at === 0,
  }))
}

describe('the picture', () => {
  it.each([
    [860, 480],
    [360, 400],
  ])('of %i × %i pixels has no labels that overlap or leave it', (width, height) => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const svg = paretoPicture(cloud(24, seed), { ...options, width, height })
      const boxes = [...svg.matchAll(/<text class="p-ink[^"]*" x="([\d.-]+)" y="([\d.-]+)">([^<]*)</g)].map(([, x, y, text]) => ({
        left: Number(x),
        right: Number(x) + textWidth(text ?? ''),
        top: Number(y) - 11,
        bottom: Number(y) + 3,
      }))
      expect(boxes.length).toBeGreaterThan(8)
      for (const [at, a] of boxes.entries()) {
        expect(a.left).toBeGreaterThanOrEqual(0)
        expect(a.right).toBeLessThanOrEqual(width)
        for (const b of boxes.slice(at + 1))
          expect(a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom).toBe(false)
      }
    }
  })

  it('draws every point it can place and counts on no number being finite', () => {
    const points = [...cloud(5, 9), { ...cloud(1, 9)[0]!, x: Number.NaN }, { ...cloud(1, 9)[0]!, series: 'unknown' }]
    const svg = paretoPicture(points, options)
    expect(svg.match(/class="p-fill" cx/g)).toHaveLength(3 + 1)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    expect(paretoPicture([], options)).not.toMatch(/NaN|Infinity|undefined/)
    expect(paretoPicture([cloud(1, 1)[0]!], { ...options, x: { title: 'x', text: String } })).not.toMatch(/NaN|Infinity/)
  })

  it('escapes whatever it is given to write', () => {
    const evil = '"><script>alert(1)</script>&'
    const svg = paretoPicture([{ x: 1, y: 1, title: evil, label: evil, series: 'a', important: true }], {
      ...options,
      title: evil,
      x: { title: evil, text: () => evil, target: { value: 2, label: evil } },
      series: { a: { name: evil, shape: 'star', tone: 'best' } },
    })
    expect(svg).not.toContain('<script')
    expect(svg.match(/&lt;script&gt;alert\(1\)/g)?.length).toBeGreaterThan(4)
  })

  it('joins only what nothing else beats in both', () => {
    const points = [
      [1, 9],
      [2, 5],
      [2, 6],
      [3, 7],
      [4, 2],
      [5, 2],
    ].map(([x = 0, y = 0]) => ({ x, y }))
    expect(frontOf(points, 'low')).toEqual([
      { x: 1, y: 9 },
      { x: 2, y: 5 },
      { x: 4, y: 2 },
    ])
    expect(frontOf(points, 'high')).toEqual([{ x: 1, y: 9 }])
  })
})

describe('a scale', () => {
  it('goes by ratio where values lie far apart, else by difference, from nothing at least', () => {
    const wide = scaleOf([1, 1000], 5)
    expect(wide).toMatchObject({ log: true, ticks: [1, 10, 100, 1000] })
    expect(wide.at(10) - wide.at(1)).toBeCloseTo(wide.at(1000) - wide.at(100), 10)
    const narrow = scaleOf([20, 29], 5)
    expect(narrow).toMatchObject({ log: false, ticks: [20, 25] })
    expect(Math.min(...scaleOf([0.1, 0.5], 5).ticks)).toBeGreaterThanOrEqual(0)
    expect(scaleOf([5, 5], 4).at(5)).toBeCloseTo(0.5, 1)
    expect(scaleOf([0, 0], 4).ticks.every(Number.isFinite)).toBe(true)
  })
})

it('leaves out a label without room unless it must be there', () => {
  const frame = { left: 0, top: 0, right: 200, bottom: 200 }
  const everywhere = [{ left: -500, top: -500, right: 500, bottom: 500 }]
  const label = { x: 100, y: 100, text: 'word', radius: 5, must: false }
  expect(placeLabels([label], everywhere, frame)).toEqual([])
  expect(placeLabels([{ ...label, must: true }], everywhere, frame)).toHaveLength(1)
  expect(placeLabels([label], [], frame)[0]).not.toHaveProperty('leader')
})
