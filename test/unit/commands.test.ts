import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'

const run = async (name: string, args: string[]) => {
  const env = { PATH: '/usr/bin:/bin', AWS_EC2_METADATA_DISABLED: 'true' }
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin', name), ...args], { env })
  const [said, code] = await Promise.all([text(child.stderr), new Promise<number | null>((done) => child.on('close', done))])
  return { said, code }
}

describe('a command for a deployed platform', () => {
  it.each([
    'teardown.ts',
    'first-admin.ts',
    'redrive.ts',
    'verify.ts',
  ])('%s says its usage to whom mistypes an option', async (name) => {
    const { said, code } = await run(name, ['--stge', 'dev'])
    expect(said).toMatch(/^Unknown option '--stge'.*\nusage: npm run (aws|verify):/)
    expect(code).toBe(2)
  })

  it.each(['teardown.ts', 'first-admin.ts', 'redrive.ts'])('%s says that it knows no region, in one line', async (name) => {
    const { said, code } = await run(name, ['--stage', 'dev'])
    expect(said).toContain('No region is known; wanted --region us-east-1, AWS_REGION')
    expect(said).not.toMatch(/\n\s+at /)
    expect(code).toBe(1)
  })
})

describe('the CDK app', () => {
  it('says what is wrong with a stage, and nothing of where it found out', async () => {
    const env = { PATH: '/usr/bin:/bin', CDK_CONTEXT_JSON: '{"stage":"X"}' }
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin/platform.ts')], { env })
    const [said, code] = await Promise.all([text(child.stderr), new Promise<number | null>((done) => child.on('close', done))])
    expect(said).toBe(
      'The stage is not as wanted:\n  stage = "X": wanted 2 to 12 lower-case letters and digits, a letter first\n',
    )
    expect(code).toBe(1)
  })
})
