import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { loopModel, writeModel } from '../../support/models.ts'

const dir = mkdtempSync(join(tmpdir(), 'orphans-'))
const started: ChildProcess[] = []
afterAll(() => {
  for (const child of started) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A host that opens a looping model and, when `busy`, makes it compute for years; prints the model process's id. */
const host = (busy: boolean): Promise<{ host: ChildProcess; pid: number }> => {
  const code = `
    import { startInstance } from ${JSON.stringify(new URL('../../../layers/serving/instance.ts', import.meta.url).href)}
    const instance = startInstance(${JSON.stringify(dir)})
    await instance.open({ model_path: ${JSON.stringify(writeModel(join(dir, 'loop.onnx'), loopModel(false)))}, name: 'm', version: '1', threads: 1, tier: 'second_tier', max_batch: 1 })
    await new Promise((resolve) => setTimeout(resolve, 150))
    if (${busy}) instance.call({ method: 'POST', path: '', headers: {}, body: [Buffer.from('{"inputs":[1000000000000000]}')] }, () => undefined)
    setTimeout(() => console.log(instance.pid), 100)
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(child)
  return new Promise((resolve) =>
    child.stdout.once('data', (text: Buffer) => resolve({ host: child, pid: Number(text.toString()) })),
  )
}

test.each([false, true])('a model process dies with its parent, computing without end: %s', async (busy) => {
  const { host: parent, pid } = await host(busy)
  expect(alive(pid)).toBe(true)
  parent.kill('SIGKILL')
  for (let i = 0; i < 400 && alive(pid); i++) await new Promise((resolve) => setTimeout(resolve, 25))
  expect(alive(pid)).toBe(false)
})
