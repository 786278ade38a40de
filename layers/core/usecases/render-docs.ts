import { errorTable } from '../contract/errors.ts'
import { openApi } from '../contract/openapi.ts'
import type { RouteRow } from '../contract/route-row.ts'

type Row = RouteRow & { id: string }

/** The reference as one self-contained page: no script, no font, no picture from elsewhere. Made from the route table alone. */
export const renderDocs = (rows: readonly Row[], info: { version: string; public_url: string }): string => {
  const document = openApi(rows, info)
  const groups = [...new Set(rows.map((row) => row.function))]
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>AI Deploy API ${escaped(info.version)}</title><style>${style}</style></head><body>
<nav><a class="home" href="#top">AI Deploy <small>${escaped(info.version)}</small></a>${groups.map((group) => navigation(group, rows)).join('')}
<h4>errors</h4><a href="#errors">Error codes</a><h4>machine-readable</h4><a href="/openapi.json">openapi.json</a></nav>
<main id="top"><h1>AI Deploy API</h1><p>Base URL <code>${escaped(info.public_url)}</code>. Send <code>Authorization: Bearer &lt;token or API key&gt;</code> or <code>X-API-Key</code>.</p>
${groups
  .map(
    (group) =>
      `<h2>${escaped(group)}</h2>${rows
        .filter((row) => row.function === group)
        .map((row) => section(row, document))
        .join('')}`,
  )
  .join('')}
<h2 id="errors">Error codes</h2><table><tr><th>code</th><th>status</th><th>title</th></tr>${errorTable.map(({ code, status, title }) => `<tr id="error-${code}"><td><code>${code}</code></td><td>${status}</td><td>${escaped(title)}</td></tr>`).join('')}</table>
</main></body></html>`
}

const navigation = (group: string, rows: readonly Row[]): string =>
  `<h4>${escaped(group)}</h4>${rows
    .filter((row) => row.function === group)
    .map((row) => `<a href="#${row.id}"><b class="${row.method}">${row.method}</b> ${escaped(row.id)}</a>`)
    .join('')}`

const section = (row: Row, document: Record<string, unknown>): string => {
  const operation = dig(document, 'paths', row.path.replace('+}', '}'), row.method.toLowerCase())
  const parameters = dig(operation, 'parameters')
  return `<section id="${row.id}"><h3><b class="${row.method}">${row.method}</b> <code>${escaped(row.path)}</code></h3><p>${escaped(row.summary)}</p>${row.description ? `<p>${escaped(row.description)}</p>` : ''}
<p class="facts">role <code>${row.role}</code> · action <code>${escaped(row.action)}</code> · answers <code>${row.status}</code></p>
${Array.isArray(parameters) && parameters.length > 0 ? `<h5>Parameters</h5><table>${parameters.map(parameterRow).join('')}</table>` : ''}
${row.body ? schemaBlock('Body', document, row, 'Request') : ''}${row.reply && !row.replies_with ? schemaBlock('Answer', document, row, 'Reply') : ''}</section>`
}

const parameterRow = (parameter: unknown): string =>
  `<tr><td><code>${escaped(dig(parameter, 'name'))}</code></td><td>${escaped(dig(parameter, 'in'))}${dig(parameter, 'required') === true ? ', required' : ''}</td><td>${escaped(JSON.stringify(dig(parameter, 'schema')))}</td></tr>`

const schemaBlock = (title: string, document: Record<string, unknown>, row: Row, suffix: string): string => {
  const name = row.id.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase()) + suffix
  const schema = dig(document, 'components', 'schemas', name)
  return schema === undefined
    ? ''
    : `<details><summary>${title} <code>${name}</code></summary><pre>${escaped(JSON.stringify(schema, null, 2))}</pre></details>`
}

const dig = (value: unknown, ...path: string[]): unknown =>
  path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined), value)

const escaped = (text: unknown): string =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const style = `:root{color-scheme:light dark;--line:#8884;--soft:#8882;--blue:#2563eb;--green:#15803d;--amber:#b45309;--red:#b91c1c}
body{margin:0;font:15px/1.55 system-ui,sans-serif;display:grid;grid-template-columns:260px minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:16px;border-right:1px solid var(--line);box-sizing:border-box;font-size:13px}
nav a{display:block;color:inherit;text-decoration:none;padding:2px 0}nav .home{font-size:17px;font-weight:700}h4{margin:14px 0 4px;text-transform:uppercase;font-size:11px;letter-spacing:.06em;opacity:.7}
main{padding:16px 32px 80px;max-width:960px}h2{margin-top:48px;border-bottom:1px solid var(--line);text-transform:capitalize}section{padding:8px 0 16px;border-bottom:1px solid var(--soft)}
h3{margin:12px 0 4px;font-size:16px}h5{margin:10px 0 2px}b{font:600 11px ui-monospace,monospace;padding:1px 5px;border-radius:4px;color:#fff;background:var(--blue)}b.POST{background:var(--green)}b.PUT,b.PATCH{background:var(--amber)}b.DELETE{background:var(--red)}
.facts{opacity:.75;font-size:13px}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 8px;border-bottom:1px solid var(--soft);vertical-align:top;font-size:13px;overflow-wrap:anywhere}pre{background:var(--soft);padding:12px;overflow:auto;border-radius:6px;font-size:12px;max-height:420px}
summary{cursor:pointer}@media(max-width:760px){body{grid-template-columns:1fr}nav{position:static;height:auto;max-height:240px}main{padding:16px}}`
