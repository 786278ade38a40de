import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

/** From vitest's JSON report: what was not run and what failed by name, and `N passed, N failed, N skipped`. */
const report = process.argv[2] ?? ''
if (!existsSync(report)) {
  console.log('no test report: the run ended before the tests did')
  process.exit(1)
}
const count = { passed: 0, failed: 0, skipped: 0 }
const tell = (status, name) => {
  const group = status === 'passed' || status === 'failed' ? status : 'skipped'
  count[group] += 1
  if (group !== 'passed') console.log(`${group}: ${name}`)
}
console.log()
for (const file of JSON.parse(readFileSync(report, 'utf8')).testResults) {
  const path = relative(process.cwd(), file.name)
  if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'))
    tell('failed', `${path} as a whole`)
  for (const { status, fullName } of file.assertionResults) tell(status, `${path} > ${fullName}`)
}
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
