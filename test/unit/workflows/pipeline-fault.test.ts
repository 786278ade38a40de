import { describe, expect, it } from 'vitest'
import { PlatformError } from '../../../layers/core/contract/errors.ts'
import { readFault, writeFault } from '../../../layers/core/contract/pipeline-fault.ts'

/** What Step Functions makes of what a Lambda throws. */
const kept = (thrown: unknown) => {
  const { name, message } = writeFault(thrown)
  return { Error: name, Cause: JSON.stringify({ errorType: name, errorMessage: message, trace: ['at step (file:///var/task)'] }) }
}

describe('a fault on its way through Step Functions', () => {
  it.each([
    [new PlatformError('invalid_model', 'No “graph”,\nno \\ {"x":1}'), 'Final'],
    [new PlatformError('version_conflict', 'somebody was faster'), 'Transient'],
    [new PlatformError('unavailable', 'later'), 'Transient'],
    [new PlatformError('work_pending', 'job runs'), 'Pending'],
  ])('keeps code and detail, and says whether to repeat it: %s', (error, name) => {
    expect(kept(error).Error).toBe(name)
    expect(readFault(kept(error))).toEqual({ code: error.code, detail: error.message })
  })

  it('tells nobody what an unknown error said', () => {
    const fault = kept(new Error('password in the text'))
    expect(fault.Error).toBe('Transient')
    expect(JSON.stringify(fault)).not.toContain('password')
    expect(readFault(fault)).toMatchObject({ code: 'internal' })
  })

  it.each([
    [{ Error: 'States.Timeout', Cause: '' }, 'timeout', /^States\.Timeout$/],
    [{ Error: 'States.Timeout' }, 'timeout', /Timeout/],
    [
      {
        Error: 'Sandbox.Timedout',
        Cause: '{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 3.00 seconds"}',
      },
      'timeout',
      /Task timed out after 3\.00 seconds/,
    ],
    [
      {
        Error: 'Lambda.Unknown',
        Cause: 'The cause could not be determined. Returned payload: {"errorMessage":"Task timed out after 9.00 seconds"}',
      },
      'timeout',
      /Lambda\.Unknown/,
    ],
    [
      {
        Error: 'Runtime.ExitError',
        Cause: '{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: signal: killed"}',
      },
      'internal',
      /Runtime\.ExitError.*signal: killed/,
    ],
    [{ Error: 'States.DataLimitExceeded', Cause: 'The state returned too much' }, 'internal', /DataLimitExceeded: The state/],
    [{ Cause: 'null' }, 'internal', /null/],
    [{}, 'internal', /no reason was given/],
  ])('reads what the services say of their own accord: %j', (kept_as, code, detail) => {
    const fault = readFault(kept_as)
    expect(fault.code).toBe(code)
    expect(fault.detail).toMatch(detail)
  })
})
