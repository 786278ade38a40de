import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface Host {
  url: string
  password: string
  stop(): Promise<void>
}

/** A platform of its own for the demo, on a free port with a data folder that is removed afterwards. */
export const startHost = async (): Promise<Host> => {
  const home = await mkdtemp(join(tmpdir(), 'aideploy-demo-'))
  const password = crypto.randomUUID()
  const environment = { PATH: process.env.PATH, PORT: '0', AIDEPLOY_HOME: home, AIDEPLOY_ADMIN_PASSWORD: password }
  const child = spawn(process.execPath, ['--conditions=embedded', join(import.meta.dirname, '../../bin/local.ts')], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<never>((_, reject) =>
    child.once('exit', (code) => reject(new Error(`The platform stopped with code ${code}`))),
  )
  exited.catch(() => {})
  const url = await Promise.race([readyLine(child.stdout), exited])
  return {
    url,
    password,
    stop: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
      await rm(home, { recursive: true, force: true })
    },
  }
}

const readyLine = async (output: NodeJS.ReadableStream): Promise<string> =>
  new Promise((resolve) => {
    createInterface({ input: output }).on('line', (line) => {
      const url = line.match(/^ready (\S+)$/)?.[1]
      if (url) resolve(url)
    })
  })
