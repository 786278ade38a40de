import { beforeAll, describe, expect, it } from 'vitest'
import { type Wildcard, wildcards } from '../../lib/wildcards.ts'
import { stages } from '../support/stages.ts'
import { type AllowStatement, allowStatements } from '../support/statements.ts'
import { synthesised, templateOf } from '../support/synthesised.ts'

let statements: (AllowStatement & { stack: string })[]
beforeAll(() => {
  statements = Object.values(stages).flatMap((context) =>
    synthesised(context).stacks.flatMap((stack) =>
      allowStatements(templateOf(stack)).map((statement) => ({ ...statement, stack: stack.stackName })),
    ),
  )
})

const shown = ({ stack, owner }: { stack: string; owner: string }): string => `${stack} ${owner}`
/** The bucket and key policies that CDK writes speak for the resource they are attached to. */
const ofIdentities = (statement: AllowStatement): boolean => /^AWS::IAM::/.test(statement.type)
const open = (resource: string): boolean => resource.replace(/\$\{[^}]*\}/g, '').includes('*')

const allowedBy = (known: Wildcard, statement: AllowStatement, resource: string, action: string): boolean =>
  known.resource.test(resource) &&
  known.actions.some((pattern) => pattern.test(action)) &&
  (known.conditioned !== true || statement.condition !== undefined)

describe('the statements of every stack', () => {
  it('are there, in their hundreds', () => {
    expect(statements.filter(ofIdentities).length).toBeGreaterThan(300)
  })

  it('allow no action by wildcard', () => {
    const wild = statements
      .filter(ofIdentities)
      .flatMap((statement) =>
        statement.actions.filter((action) => action.includes('*')).map((action) => `${shown(statement)}: ${action}`),
      )
    expect(wild).toEqual([])
  })

  it('name exact resources, or a wildcard that is listed with its reason', () => {
    const unlisted = statements
      .filter(ofIdentities)
      .flatMap((statement) =>
        statement.resources
          .filter(open)
          .flatMap((resource) =>
            statement.actions
              .filter((action) => !wildcards.some((known) => allowedBy(known, statement, resource, action)))
              .map((action) => `${shown(statement)}: ${action} on ${resource}`),
          ),
      )
    expect([...new Set(unlisted)]).toEqual([])
  })

  it('need every wildcard that is listed', () => {
    const unused = wildcards.filter(
      (known) =>
        !statements.some((statement) =>
          statement.resources.some(
            (resource) => open(resource) && statement.actions.some((action) => allowedBy(known, statement, resource, action)),
          ),
        ),
    )
    expect(unused.map(({ resource, reason }) => `${resource}: ${reason}`)).toEqual([])
  })

  it('let nobody make or pass a role without limit', () => {
    const risky = statements.filter(({ actions }) =>
      actions.some((action) => /^iam:(CreateRole|PutRolePolicy|AttachRolePolicy|PassRole)$/.test(action)),
    )
    expect(risky.length).toBeGreaterThan(0)
    for (const statement of risky) {
      const condition = JSON.stringify(statement.condition)
      expect(
        statement.resources.every((resource) => /:role\/aideploy\//.test(resource)),
        shown(statement),
      ).toBe(true)
      expect(condition, shown(statement)).toMatch(
        statement.actions.includes('iam:PassRole') ? /iam:PassedToService/ : /iam:PermissionsBoundary.*policy\/aideploy\//,
      )
    }
  })
})
