import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag'
import { beforeAll, describe, expect, it } from 'vitest'
import { acknowledgements } from '../../lib/acknowledgements.ts'
import { covers } from '../../lib/checks.ts'
import { stages } from '../support/stages.ts'
import { synthesised } from '../support/synthesised.ts'

let findings: { rule: string; path: string }[]
beforeAll(() => {
  findings = Object.values(stages).flatMap((context) => {
    const { app } = synthesised(context)
    return [new AwsSolutionsChecks(app), new ServerlessChecks(app)].flatMap((pack) =>
      pack
        .validateScope(app)
        .violations.flatMap(({ ruleName, violatingResources }) =>
          violatingResources.map(({ constructPath = '' }) => ({ rule: ruleName, path: constructPath })),
        ),
    )
  })
})

describe('cdk-nag, AwsSolutions and Serverless', () => {
  it('finds nothing that is not explained', () => {
    const open = findings.filter(({ rule, path }) => !acknowledgements.some((known) => covers(known, rule, path)))
    expect(open).toEqual([])
  })

  it('still finds everything that is explained', () => {
    const stale = acknowledgements.filter((known) => !findings.some(({ rule, path }) => covers(known, rule, path)))
    expect(stale.map(({ rule }) => rule)).toEqual([])
  })
})
