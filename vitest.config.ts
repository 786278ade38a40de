import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

/**
 * Every project resolves `#app` as the embedded host does; `ssr.resolve.conditions` is the key vitest honours for Node code. It hands
 * them to Node too, so `import` or `module` here would give `require` the wrong files.
 */
const embedded = { ssr: { resolve: { conditions: ['embedded', 'node'] } } }
const project = (name: string, include: string[], timeout_s: number) => ({
  ...embedded,
  test: { name, include, testTimeout: timeout_s * 1000, hookTimeout: timeout_s * 1000, environment: 'node' as const },
})

/** The end-to-end suites again, on the synthesised stacks and `compose/aws`: servers of this machine stand for the AWS services. */
const onCloud = {
  ...project(
    'cloud',
    ['reference', 'tenants', 'tokens-idempotency', 'verify']
      .map((name) => `test/e2e/${name}.test.ts`)
      .concat('test/cloud/**/*.test.ts'),
    180,
  ),
  resolve: {
    alias: [{ find: /^\.\.\/support\/platform\.ts$/, replacement: join(import.meta.dirname, 'test/cloud/platform.ts') }],
  },
}

export default defineConfig({
  test: {
    // Most of what the tests do is to wait for processes of their own: on two cores one file at a time would leave half of them idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      project('unit', ['test/unit/**/*.test.ts', 'test/*.test.ts'], 30),
      project('contract', ['test/contract/**/*.test.ts'], 60),
      project('functions', ['test/functions/**/*.test.ts'], 60),
      project('stacks', ['test/stacks/**/*.test.ts'], 120),
      project('e2e', ['test/e2e/**/*.test.ts'], 180),
      onCloud,
    ],
  },
})
