import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type InspectorOptions, onnxInspector } from '../../../layers/inspector/onnx.ts'

const child = (name: string) => new URL(`../../support/inspector-children/${name}.ts`, import.meta.url)
const inspect = (name: string, path: string, options: InspectorOptions = {}) =>
  onnxInspector({ child: child(name), ...options }).inspect(path, { framework: 'onnx', file_name: 'model.onnx' })

test('what the child learnt is answered; a fault of the file is invalid_model with its kind', async () => {
  expect(await inspect('answering', '/x/onnx')).toEqual({ format: 'onnx' })
  await expect(inspect('answering', '/x/fault')).rejects.toMatchObject({
    code: 'invalid_model',
    message: 'ends at byte 12',
    extras: { facts: { reason: 'truncated' } },
  })
})

test('a bug of ours is not blamed on the file', async () => {
  await expect(inspect('answering', '/x/bug')).rejects.toMatchObject({ code: 'internal' })
})

test.each([
  { name: 'looping', reason: 'timeout', options: { timeout_ms: 400 } },
  // The resident size is read from /proc, where there is one.
  ...(existsSync('/proc/self/statm') ? [{ name: 'swallowing', reason: 'memory', options: { memory_bytes: 300 * 2 ** 20 } }] : []),
  { name: 'dying', reason: 'crashed', options: {} },
])('a file that leaves the reader $name is refused as $reason while this thread stays free, and no process stays', async ({
  name,
  reason,
  options,
}) => {
  let ticks = 0
  const clock = setInterval(() => (ticks += 1), 10)
  await expect(inspect(name, '/x/onnx', options)).rejects.toMatchObject({ code: 'invalid_model', extras: { facts: { reason } } })
  clearInterval(clock)
  expect(ticks).toBeGreaterThan(2)
  expect(childrenRunning(name)).toEqual([])
})

test.runIf(existsSync('/proc/self/task'))(
  'no more inspections at once than allowed, and every one gets its own answer',
  async () => {
    const inspector = onnxInspector({ child: child('answering'), concurrency: 2 })
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, childrenRunning('answering').length)
    }, 2)
    const names = ['a', 'b', 'fault', 'c', 'd']
    const answers = await Promise.allSettled(
      names.map((name) => inspector.inspect(`/x/${name}`, { framework: 'onnx', file_name: '' })),
    )
    clearInterval(watch)
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.format : answer.reason.code))).toEqual([
      'a',
      'b',
      'invalid_model',
      'c',
      'd',
    ])
    expect(most).toBe(2)
  },
)

/** Process ids of this process's children that run the script. */
function childrenRunning(name: string): string[] {
  if (!existsSync('/proc/self/task')) return []
  const own = readdirSync(`/proc/${process.pid}/task`).flatMap((task) =>
    readText(`/proc/${process.pid}/task/${task}/children`).split(' '),
  )
  return own.filter((pid) => pid !== '' && readText(`/proc/${pid}/cmdline`).includes(`inspector-children/${name}.ts`))
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
