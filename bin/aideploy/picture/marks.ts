export type Shape = 'circle' | 'ring' | 'square' | 'diamond' | 'triangle' | 'cross' | 'star'
export type Tone = 'good' | 'best' | 'plain' | 'warn' | 'bad' | 'other' | 'muted'

/** Colours of marks and lines, light and dark; shapes differ too, so that nothing rests on colour alone. */
export const tones = `
.pareto{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}
.pareto .p-ink{fill:#1b2126}.pareto .p-soft{fill:#5b6670}.pareto .p-strong{font-weight:600}
.pareto text.p-ink{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.pareto .p-grid{stroke:#e3e7ea;fill:none}.pareto .p-edge{stroke:#aeb8c0;fill:none}
.pareto .p-front{stroke:#2f7d6b;stroke-width:2;fill:none;opacity:.55}.pareto .p-leader{stroke:#8a959e;stroke-width:1;fill:none}
.pareto .p-target{stroke:#2b5fb3;stroke-width:1.5;stroke-dasharray:6 4;fill:none}.pareto text.p-targettext{fill:#2b5fb3}
.pareto .p-region{fill:#2b5fb3;opacity:.07}
.pareto .t-good{--c:#2f7d6b}.pareto .t-best{--c:#0d9e6e}.pareto .t-plain{--c:#1b2126}.pareto .t-warn{--c:#b26a00}
.pareto .t-bad{--c:#c23b32}.pareto .t-other{--c:#5a55b8}.pareto .t-muted{--c:#8a959e}
.pareto .p-fill{fill:var(--c);stroke:#fff;stroke-width:1}.pareto .p-line{fill:none;stroke:var(--c);stroke-width:2.4}
@media (prefers-color-scheme:dark){
.pareto .p-ink{fill:#e6eaed}.pareto .p-soft{fill:#a3afb8}.pareto text.p-ink{stroke:#1d2327}
.pareto .p-grid{stroke:#313a40}.pareto .p-edge{stroke:#5b6770}.pareto .p-front{stroke:#57b39f}.pareto .p-leader{stroke:#76838c}
.pareto .p-target{stroke:#86aef0}.pareto text.p-targettext{fill:#86aef0}.pareto .p-region{fill:#86aef0}
.pareto .t-good{--c:#57b39f}.pareto .t-best{--c:#3fdba6}.pareto .t-plain{--c:#e6eaed}.pareto .t-warn{--c:#f0b26a}
.pareto .t-bad{--c:#f0807a}.pareto .t-other{--c:#a7a2f5}.pareto .t-muted{--c:#76838c}
.pareto .p-fill{stroke:#1d2327}}`

const polygon = (corners: readonly (readonly [number, number])[], x: number, y: number, r: number): string =>
  `<polygon class="p-fill" points="${corners.map(([dx, dy]) => `${(x + dx * r).toFixed(1)},${(y + dy * r).toFixed(1)}`).join(' ')}"/>`

const star: readonly (readonly [number, number])[] = Array.from({ length: 10 }, (_, at) => {
  const r = at % 2 === 0 ? 1.45 : 0.62
  return [r * Math.sin((at * Math.PI) / 5), -r * Math.cos((at * Math.PI) / 5)] as const
})

const figures: Record<Shape, (x: number, y: number, r: number) => string> = {
  circle: (x, y, r) => `<circle class="p-fill" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${r}"/>`,
  ring: (x, y, r) => `<circle class="p-line" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${r}"/>`,
  square: (x, y, r) =>
    polygon(
      [
        [-0.9, -0.9],
        [0.9, -0.9],
        [0.9, 0.9],
        [-0.9, 0.9],
      ],
      x,
      y,
      r,
    ),
  diamond: (x, y, r) =>
    polygon(
      [
        [0, -1.25],
        [1.25, 0],
        [0, 1.25],
        [-1.25, 0],
      ],
      x,
      y,
      r,
    ),
  triangle: (x, y, r) =>
    polygon(
      [
        [0, -1.15],
        [1.1, 0.85],
        [-1.1, 0.85],
      ],
      x,
      y,
      r,
    ),
  cross: (x, y, r) => {
    const [l, t, s] = [(x - r * 0.8).toFixed(1), (y - r * 0.8).toFixed(1), (1.6 * r).toFixed(1)]
    return `<path class="p-line" d="M${l} ${t}l${s} ${s}m-${s} 0l${s} -${s}"/>`
  },
  star: (x, y, r) => polygon(star, x, y, r),
}

/** One mark with its middle at x, y, as SVG. */
export const mark = (shape: Shape, tone: Tone, x: number, y: number, r: number): string =>
  `<g class="t-${tone}">${figures[shape](x, y, r)}</g>`
