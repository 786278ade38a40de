import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'

/** Where and with what a search measured, so that its figures can be judged and repeated. */
export interface MeasuredOn {
  cpu: string
  cores: number
  /** Of the runtime, for each of the two models. */
  threads: number
  memory_bytes: number
  system: string
  node: string
  onnxruntime: string
  aideploy: string
  at: string
}

const versionIn = (text: string): string => {
  const content: unknown = JSON.parse(text)
  return typeof content === 'object' && content !== null && 'version' in content ? String(content.version) : 'unknown'
}

/** Of the package this file belongs to, wherever below it the file lies. */
export const ownVersion = (): string => {
  for (const up of ['../../package.json', '../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), 'utf8')
      if (/"name":\s*"ai-deploy"/.test(text)) return versionIn(text)
    } catch {
      // Not this one: a bundle's chunks lie deeper than the sources.
    }
  }
  return 'unknown'
}

const runtimeVersion = (): string => {
  try {
    return versionIn(readFileSync(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'), 'utf8'))
  } catch {
    return 'unknown'
  }
}

export const measuredOn = (): MeasuredOn => {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() || process.arch,
    cores: processors.length,
    threads: 1,
    memory_bytes: totalmem(),
    system: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    onnxruntime: runtimeVersion(),
    aideploy: ownVersion(),
    at: new Date().toISOString(),
  }
}
