import { text } from 'node:stream/consumers'

/**
 * A picture of a terminal from the captured output of a command, self-contained and static:
 * `npm run demo --silent | node examples/demo/picture.ts > docs/demo.svg`.
 */

const columns = 102
const font_px = 14
/** Of the usual monospaced fonts, in em: Menlo, Consolas and DejaVu Sans Mono differ from it by less than a tenth. */
const column_px = 0.602 * font_px
const line_px = 20
const margin_px = 20
const bar_px = 34
const width_px = 900

const escaped = (part: string): string => part.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')

/** A line in pieces no longer than the terminal is wide, broken at spaces, the rest indented as the line is. */
const wrapped = (line: string): string[] => {
  if (line.length <= columns) return [line]
  const indent = line.match(/^ */)?.[0] ?? ''
  const space = line.lastIndexOf(' ', columns)
  const at = space > indent.length ? space : columns
  return [line.slice(0, at), ...wrapped(indent + line.slice(at).trimStart())]
}

/** Prompt, tick, duration and change stand out; everything else is plain. */
const coloured = (line: string): string =>
  escaped(line)
    .replace(/^(\$ )(.*)$/, '<tspan class="g">$1</tspan><tspan class="b">$2</tspan>')
    .replace('✓', '<tspan class="g">✓</tspan>')
    .replace(/(\([\d.]+ s\))$/, '<tspan class="d">$1</tspan>')
    .replace(/(−[\d.]+ %)$/, '<tspan class="g">$1</tspan>')
    .replace(/^( {3,}original .*)$/, '<tspan class="b">$1</tspan>')
    .replace(/^( {2}cost basis: .*| {2}[a-z].*rows)$/, '<tspan class="d">$1</tspan>')

const picture = (command: string, output: string): string => {
  const lines = [`$ ${command}`, ...output.trimEnd().split('\n')].flatMap(wrapped)
  const height_px = bar_px + 2 * margin_px + lines.length * line_px
  const rows = lines.map((line, at) => {
    const y = bar_px + margin_px + at * line_px + font_px
    return line === '' ? '' : `<text x="${margin_px}" y="${y}">${coloured(line)}</text>\n`
  })
  const lights = ['#ff5f57', '#febc2e', '#28c840'].map(
    (fill, at) => `<circle cx="${22 + 20 * at}" cy="17" r="6" fill="${fill}"/>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width_px} ${height_px}" width="${width_px}" height="${height_px}" role="img" aria-label="Terminal: ${escaped(command)}">
<style>text{font:${font_px}px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d5dae1;white-space:pre}.g{fill:#5fd38d}.b{fill:#fff;font-weight:600}.d{fill:#8b95a3}</style>
<rect width="${width_px}" height="${height_px}" rx="10" fill="#14181f"/>
${lights.join('')}
${rows.join('')}</svg>
`
}

if (columns * column_px > width_px - 2 * margin_px) throw new RangeError(`${columns} columns do not fit ${width_px} pixels`)
const [command = 'npm run demo'] = process.argv.slice(2)
process.stdout.write(picture(command, await text(process.stdin)))
