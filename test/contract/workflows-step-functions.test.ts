import { stepFunctionsHost } from '../support/step-functions-host.ts'
import { workflowsContract } from './workflows.ts'

workflowsContract('on Step Functions', stepFunctionsHost)
