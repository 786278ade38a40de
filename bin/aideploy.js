#!/usr/bin/env node
/**
 * What `npx aideploy` starts. JavaScript, because Node strips no types below node_modules and its oldest supported release strips none at
 * all. In a checkout the sources are run, so that nothing has to be built and nothing built can be out of date: by this Node where it can,
 * else by the one the development dependencies bring. An installed package holds no sources, only `dist/command`.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const source = new URL('./aideploy.ts', import.meta.url)
const built = new URL('../dist/command/aideploy.mjs', import.meta.url)
const brought = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
const runs_sources = Number(process.versions.node.split('.')[0]) >= 24

if (existsSync(source) && runs_sources) await import(source.href)
else if (existsSync(source) && existsSync(brought)) {
  // The channel ends with this process, however that ends, and with it the command.
  const child = spawn(brought, [fileURLToPath(source), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`aideploy: ${brought} could not be started: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))
} else if (existsSync(built)) await import(built.href)
else {
  process.stderr.write(
    `aideploy: nothing here runs on Node ${process.versions.node}; wanted Node 24, or npm ci with development dependencies, or npm run build:command\n`,
  )
  process.exitCode = 1
}
