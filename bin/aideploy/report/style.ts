/** Light, and dark where the reader prefers that; nothing from elsewhere. */
export const style = `
:root{color-scheme:light dark;--ground:#f3f5f7;--card:#fff;--ink:#1b2126;--soft:#5b6670;--line:#e3e7ea;--good:#2f7d6b;--warn:#945800;--bad:#b3332a;--tint:#eef5f3}
@media (prefers-color-scheme:dark){:root{--ground:#14181b;--card:#1d2327;--ink:#e6eaed;--soft:#a3afb8;--line:#343d43;--good:#57b39f;--warn:#f0b26a;--bad:#f0807a;--tint:#20302e}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}
main{max-width:1000px;margin:24px auto;padding:28px 36px 32px;background:var(--card);border-radius:10px}
h1{font-size:15px;font-weight:400;color:var(--soft);margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:32px 0 6px}
p{margin:6px 0;overflow-wrap:anywhere}
.big{font-size:34px;line-height:1.25;font-weight:650;margin:2px 0 4px}
.soft{color:var(--soft)}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
.small{font-size:13px}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:18px 0 4px}
.fact{flex:1 1 130px;border:1px solid var(--line);border-radius:8px;padding:10px 14px;min-width:0}
.fact b{display:block;font-size:20px;line-height:1.3;font-weight:600;white-space:nowrap}
.fact span{font-size:13px;color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:500;color:var(--soft);font-size:13px;border-bottom:1px solid var(--line);padding:6px 10px;text-align:right;white-space:nowrap}
td{padding:7px 10px;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:8px}
th:last-child,td:last-child{text-align:left}
tbody tr.row td{border-top:1px solid var(--line)}
tr.why td{text-align:left;white-space:normal;color:var(--soft);font-size:13px;padding-top:0;overflow-wrap:anywhere;line-height:1.45}
tbody.chosen{background:var(--tint)}
tbody.chosen tr.row td:first-child{font-weight:600}
.interval{display:block;font-size:12px;color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:8px 0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;min-width:0;overflow-wrap:anywhere}
ul{margin:6px 0;padding-left:20px}li{margin:4px 0}
svg.pareto{display:block;width:100%;height:auto;margin:6px 0}
.narrow{display:none}
@media (max-width:640px){main{margin:0;padding:20px 16px 24px;border-radius:0}.wide{display:none}.narrow{display:block}.big{font-size:27px}
table,tbody{display:block}thead{display:none}tbody{border-top:1px solid var(--line);padding:8px 0}tbody.chosen{padding:8px}tbody tr.row{display:grid;grid-template-columns:1fr 1fr;gap:0 12px}
tbody tr.row td{border:0;padding:1px 0;text-align:left;white-space:normal}tbody tr.row td:first-child{grid-column:1/-1;padding:0 0 2px}
tr.row td[data-name]::before{content:attr(data-name) " ";color:var(--soft);font-size:12px}
tr.row td:empty{display:none}tr.why{display:block}tr.why td{display:block;padding:2px 0 0}
dl{grid-template-columns:1fr}dd{margin-bottom:6px}}
@media print{body{background:#fff}main{margin:0;max-width:none}.scroll{overflow:visible}}
`
