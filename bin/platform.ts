import { platform } from '../lib/platform.ts'

platform().app.synth()
