import { type App, type IPolicyValidationContext, type IPolicyValidationPlugin, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag'
import { type Acknowledgement, acknowledgements } from './acknowledgements.ts'

interface Pack {
  readPackName: string
  validate(context: IPolicyValidationContext): ReturnType<IPolicyValidationPlugin['validate']>
}

/** cdk-nag's rule packs; a finding that `acknowledgements.ts` explains is left out, any other fails synthesis. */
export const nagChecks = (app: App): void => {
  Validations.of(app).addPlugins(...[new AwsSolutionsChecks(app), new ServerlessChecks(app)].map(explained))
}

const explained = (pack: Pack): IPolicyValidationPlugin => ({
  name: pack.readPackName,
  validate: (context) => {
    const { violations, ...report } = pack.validate(context)
    const left = violations
      .map((violation) => ({
        ...violation,
        violatingResources: violation.violatingResources.filter(
          ({ constructPath = '' }) => !acknowledgements.some((known) => covers(known, violation.ruleName, constructPath)),
        ),
      }))
      .filter(({ violatingResources }) => violatingResources.length > 0)
    return { ...report, success: left.length === 0, violations: left }
  },
})

/** An acknowledgement names a rule, for every resource or for those whose construct path it matches. */
export const covers = ({ rule, where }: Acknowledgement, ruleName: string, constructPath: string): boolean =>
  (ruleName === rule || ruleName.startsWith(`${rule}[`)) && (where === undefined || where.test(constructPath))
