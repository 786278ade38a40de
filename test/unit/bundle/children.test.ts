import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { childEntries, pointedAtChildren, rootBanner } from '../../../bin/bundle/children.ts'

const layers = join(import.meta.dirname, '../../../layers')

describe('children of a bundle', () => {
  it('are found by the URLs that name them, and lie in one folder under names of their own', () => {
    const entries = childEntries()
    const names = entries.map(({ out }) => out)
    expect(names).toContain('children/serving-main')
    expect(names).toContain('children/optimizers-dynamic-int8')
    expect(new Set(names).size).toBe(names.length)
    for (const entry of entries) expect(existsSync(entry.in), entry.in).toBe(true)
    expect(childEntries({ skip: ['serving'] }).map(({ out }) => out)).not.toContain('children/serving-main')
  })

  it('are named from the bundle’s root, so that it does not matter which chunk names them', () => {
    const file = join(layers, 'onnx/evaluate/runner.ts')
    expect(pointedAtChildren(file, `const entry = new URL('./child.ts', import.meta.url)`)).toBe(
      `const entry = new URL('children/onnx-evaluate-child.mjs', bundle_root)`,
    )
    const optimizer = join(layers, 'optimizers/dynamic-int8.ts')
    expect(pointedAtChildren(optimizer, '  module: import.meta.url,')).toBe(
      `  module: new URL('children/optimizers-dynamic-int8.mjs', bundle_root).href,`,
    )
    const prices = join(layers, 'pricing/snapshot.ts')
    expect(pointedAtChildren(prices, `new URL('./snapshot-2026-11.json', import.meta.url)`)).toBe(
      `new URL('data/pricing-snapshot-2026-11.json', bundle_root)`,
    )
    const other = `const url = new URL('https://example.org/child.ts'); const own = import.meta.url`
    expect(pointedAtChildren(file, other)).toBe(other)
  })

  it.each([
    ['file:///var/task/models.mjs', 'file:///var/task/'],
    ['file:///var/task/chunks/A1.mjs', 'file:///var/task/'],
    ['file:///var/task/children/inspector-child.mjs', 'file:///var/task/'],
  ])('know the root from %s', (url, root) => {
    const find = new Function(
      'url',
      `${rootBanner.replace('import.meta.url', 'url').replace('import.meta.url', 'url')} return bundle_root.href`,
    )
    expect(find(url)).toBe(root)
  })
})
