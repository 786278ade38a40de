import type { Report } from './report.ts'
import { moreAdvice, shownChange, shownHours, shownSaving, shownUsd } from './report-words.ts'

/**
 * Mail clients know HTML of about 1999: tables, inline styles and `bgcolor`, no flex, grid, script or outside image. The style element
 * only adds dark colours where it is honoured; without it the inline ones stand, dark text on a light ground that clients may invert.
 */

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => escapes[char] ?? char)
const e = escapeHtml

const ink = '#1b2126'
const soft = '#5b6670'
const line = '#e3e7ea'
const ground = '#f3f5f7'
const bar = '#2f7d6b'
const warn = '#8a4b00'
const font = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"

const dark = `:root{color-scheme:light dark;supported-color-schemes:light dark}
@media (prefers-color-scheme:dark){.g{background:#14181b!important}.c{background:#1d2327!important}.i{color:#e6eaed!important}
.s{color:#a3afb8!important}.l{border-color:#343d43!important}.b{background:#57b39f!important}.w{color:#f0b26a!important}}
@media (max-width:480px){.p{padding-left:16px!important;padding-right:16px!important}.n{font-size:30px!important}}`

const text = (kind: 'i' | 's' | 'w', html: string, style = ''): string => {
  const colour = { i: ink, s: soft, w: warn }[kind]
  return `<div class="${kind}" style="color:${colour};${style}">${html}</div>`
}
const small = 'font-size:12px;line-height:17px;word-break:break-word;overflow-wrap:anywhere'

/** `cells` are HTML; the first one takes the room, the others stand to the right. */
const tableRow = (cells: readonly string[], bold = false): string =>
  `<tr>${cells
    .map((html, at) => {
      const place =
        at === 0
          ? 'width="100%" align="left" style="padding:7px 8px 7px 0;word-break:break-word;overflow-wrap:anywhere'
          : 'align="right" style="padding:7px 0 7px 12px;white-space:nowrap'
      return `<td valign="top" class="i l" ${place};border-bottom:1px solid ${line};color:${ink};font-size:14px;line-height:20px${bold ? ';font-weight:600' : ''}">${html}</td>`
    })
    .join('')}</tr>`

const table = (rows: readonly string[]): string =>
  `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">${rows.join('')}</table>`

const section = (title: string, html: string): string =>
  html === ''
    ? ''
    : `<tr><td class="p" style="padding:22px 28px 0 28px">${text('i', e(title), 'font-size:16px;line-height:22px;font-weight:600;padding-bottom:4px')}${html}</td></tr>`

const changeCell = (amount: { usd: number; previous_usd: number }): string =>
  `<span class="s" style="color:${soft}">${e(shownChange(amount)) || '&nbsp;'}</span>`

/** The report as one HTML document of at most 640 pixels. */
export const renderHtml = (report: Report): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">
<title>${e(report.subject)}</title><style>${dark}</style></head>
<body class="g" style="margin:0;padding:0;background:${ground};${font}">
<div style="display:none;max-height:0;overflow:hidden">${e(`${shownUsd(report.total.usd)}: ${report.change}`)}</div>
<table role="presentation" class="g" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="${ground}" style="background:${ground}"><tr><td align="center" style="padding:16px 8px">
<table role="presentation" class="c" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#ffffff" style="max-width:640px;background:#ffffff;border-radius:8px">
${[
  `<tr><td class="p" style="padding:26px 28px 0 28px">${headline(report)}</td></tr>`,
  section('Will be deleted', deletions(report)),
  report.days.length < 2 ? '' : section('Day by day', bars(report)),
  section('By service', services(report)),
  section('By deployment', deployments(report)),
  section('What to change', advice(report)),
  section('The same work elsewhere', elsewhere(report)),
  section(`The next ${report.forecast.days} days`, forecast(report)),
  section('Saved by sleeping', savings(report)),
  section('Besides, not in the total', others(report)),
  section(
    'Where the figures come from',
    report.bases.map(({ label, basis }) => text('s', `${e(label)}: ${e(basis)}`, `${small};padding:2px 0`)).join(''),
  ),
  `<tr><td class="p" style="padding:22px 28px 26px 28px">${report.footer.map((one) => text('s', e(one), `${small};padding:2px 0`)).join('')}</td></tr>`,
].join('\n')}
</table></td></tr></table></body></html>
`

const headline = ({ organization, dates, period, total, change }: Report): string =>
  [
    text('s', `Cost report · ${e(organization)}`, 'font-size:13px;line-height:18px;overflow-wrap:anywhere'),
    `<div class="i n" style="color:${ink};font-size:36px;line-height:46px;font-weight:600">${e(shownUsd(total.usd))}</div>`,
    text('i', `${e(change)}`, 'font-size:15px;line-height:21px'),
    text('s', `${e(dates)}, ${e(period.time_zone)}`, 'font-size:13px;line-height:18px;padding-top:2px'),
  ].join('')

const deletions = ({ deletions: list }: Report): string =>
  list
    .map(({ name, model_id, deletes_at }) =>
      text(
        'w',
        `<b>${e(name)}</b> (${e(model_id)}), unused, on ${e(deletes_at.slice(0, 10))}. Deploy it to keep it.`,
        'font-size:14px;line-height:20px;padding:3px 0;overflow-wrap:anywhere',
      ),
    )
    .join('')

const bars = ({ days }: Report): string => {
  const most = Math.max(...days.map(({ usd }) => usd))
  const rows = days.map(({ label, usd }) => {
    const share = most > 0 ? Math.max(usd > 0 ? 1 : 0, Math.round((usd / most) * 100)) : 0
    const filled =
      share > 0
        ? `<td class="b" width="${share}%" bgcolor="${bar}" style="background:${bar};height:10px;font-size:0;line-height:10px;border-radius:2px">&nbsp;</td>`
        : ''
    const rest = share < 100 ? `<td width="${100 - share}%" style="height:10px;font-size:0;line-height:10px">&nbsp;</td>` : ''
    const cell = `font-size:12px;line-height:18px;white-space:nowrap`
    return `<tr><td class="s" style="color:${soft};padding:1px 10px 1px 0;${cell}">${e(label)}</td><td width="100%"><table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>${filled}${rest}</tr></table></td><td class="i" align="right" style="color:${ink};padding:1px 0 1px 10px;${cell}">${e(shownUsd(usd))}</td></tr>`
  })
  return table(rows)
}

const services = ({ services: list, total }: Report): string =>
  table([
    ...list.map((one) => tableRow([e(one.service), e(shownUsd(one.usd)), changeCell(one)])),
    tableRow(['Total', e(shownUsd(total.usd)), changeCell(total)], true),
  ])

const deployments = ({ deployments: list, unpriced }: Report): string => {
  const rows = list.map((one) =>
    tableRow([
      `${e(one.name)} <span class="s" style="color:${soft};font-size:12px">${e(one.deployment_type)}</span>`,
      e(shownUsd(one.usd)),
      changeCell(one),
    ]),
  )
  const none = list.length === 0 ? text('s', 'There was none.', 'font-size:14px;line-height:20px') : table(rows)
  const without = unpriced.map(({ name, reason }) => text('w', `${e(name)}: ${e(reason)}`, `${small};padding:2px 0`)).join('')
  return without === ''
    ? none
    : `${none}${text('w', 'Requests without a price, in no figure above:', `${small};padding-top:8px`)}${without}`
}

const elsewhere = ({ elsewhere: list }: Report): string =>
  table(
    list.map(({ label, usd, savings_percentage, basis }) =>
      tableRow([
        `${e(label)}${text('s', e(basis), small)}`,
        `${usd === null ? 'no price' : e(shownUsd(usd))}${usd === null ? '' : text('s', e(shownSaving(savings_percentage)), 'font-size:12px;line-height:17px')}`,
      ]),
    ),
  )

const forecast = ({ forecast: { usd, basis } }: Report): string =>
  table([tableRow([`Forecast${text('s', e(basis), small)}`, e(shownUsd(usd))])])

const savings = ({ savings: { period, so_far, since, basis, unpriced_sleeps } }: Report): string =>
  table([
    tableRow([`This period, ${e(shownHours(period.hours))} asleep`, e(shownUsd(period.usd))]),
    tableRow([
      `So far${since === null ? '' : ` since ${e(since.slice(0, 10))}`}, ${e(shownHours(so_far.hours))}${basis.map((one) => text('s', `against ${e(one)}`, small)).join('')}${unpriced_sleeps === 0 ? '' : text('s', `${unpriced_sleeps} more without a price`, small)}`,
      e(shownUsd(so_far.usd)),
    ]),
  ])

const others = ({ others: list }: Report): string =>
  list.length === 0
    ? ''
    : table(list.map(({ label, usd, basis }) => tableRow([`${e(label)}${text('s', e(basis), small)}`, e(shownUsd(usd))])))

const advice = ({ advice: list, advice_left_out }: Report): string =>
  list.length === 0
    ? text('s', 'Nothing.', 'font-size:14px;line-height:20px')
    : table([
        ...list.map(({ about, message, impact, saves_usd_per_month, basis }) => {
          const saves = saves_usd_per_month === null ? '' : ` <b>Saves ${e(shownUsd(saves_usd_per_month))} a month.</b>`
          return tableRow([
            `${about === null ? '' : `<b>${e(about)}</b>: `}${e(message)}.${saves}${text('s', `${e(impact)} impact; ${e(basis)}`, small)}`,
          ])
        }),
        ...(advice_left_out === 0 ? [] : [tableRow([text('s', e(moreAdvice(advice_left_out)), small)])]),
      ])
