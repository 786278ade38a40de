import { platform } from '../lib/platform.ts'
import { StageError } from '../lib/stage.ts'

try {
  platform().app.synth()
} catch (error) {
  // A wrong parameter is the caller's to mend: where in this code it was found out tells nothing.
  if (!(error instanceof StageError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
