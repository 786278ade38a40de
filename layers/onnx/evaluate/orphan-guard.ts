import { Worker } from 'node:worker_threads'

const watch = `
const { workerData } = require('node:worker_threads')
setInterval(() => { if (process.ppid !== workerData.parent) process.kill(process.pid, 'SIGKILL') }, 1000)
`

/**
 * Ends this process when its parent is gone, also while the main thread is stuck inside native code (a model's endless loop
 * hears no disconnect). A thread of its own, because only that keeps running then.
 */
export function dieWithParent(): void {
  process.on('disconnect', () => process.exit(0))
  new Worker(watch, { eval: true, workerData: { parent: process.ppid }, resourceLimits: { maxOldGenerationSizeMb: 8 } }).unref()
}
