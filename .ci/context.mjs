import { stages } from '../test/support/stages.ts'

/** The context of a stage the tests know, as arguments of `cdk`, one a line. */
for (const [name, value] of Object.entries(stages[process.argv[2]])) process.stdout.write(`-c\n${name}=${value}\n`)
