import { describe, expect, it, onTestFinished } from 'vitest'
import { fetchJson, isPrivateAddress } from '../../../layers/identity/fetch-json.ts'
import { startJsonSite } from '../../support/json-site.ts'

describe('documents that configuration names', () => {
  it('come from public addresses only', async () => {
    const site = await startJsonSite({ '/': () => ({ found: true }) })
    onTestFinished(() => site.stop())
    const { port } = new URL(site.url)
    const inside = [
      site.url,
      `https://127.0.0.1:${port}/`,
      `https://[::1]:${port}/`,
      `https://[::ffff:127.0.0.1]:${port}/`,
      `https://localhost:${port}/`,
      'https://169.254.169.254/latest/meta-data',
      'https://0x7f.1/',
      'file:///etc/passwd',
    ]
    for (const url of inside)
      await expect(fetchJson(url, { allow_private: false }), url).rejects.toThrow(/private address|not https/)
    expect(site.reads.size).toBe(0)
    expect(await fetchJson(site.url, { allow_private: true })).toEqual({ found: true })
    await expect(fetchJson('file:///etc/passwd', { allow_private: true })).rejects.toThrow('not https')
  })

  it.each([
    ['10.1.2.3', true],
    ['172.31.255.255', true],
    ['172.32.0.0', false],
    ['192.168.0.1', true],
    ['100.64.0.1', true],
    ['169.254.169.254', true],
    ['0.0.0.0', true],
    ['255.255.255.255', true],
    ['8.8.8.8', false],
    ['::1', true],
    ['::', true],
    ['fd00:ec2::254', true],
    ['fe80::1', true],
    ['::ffff:10.0.0.1', true],
    ['::ffff:8.8.8.8', false],
    ['64:ff9b::7f00:1', true],
    ['2606:4700:4700::1111', false],
  ])('%s is private: %s', (address, wanted) => expect(isPrivateAddress(address)).toBe(wanted))

  it('do not keep anybody waiting', async () => {
    const site = await startJsonSite({ '/': { raw: () => {} } })
    onTestFinished(() => site.stop())
    await expect(fetchJson(site.url, { allow_private: true, timeout_ms: 50 })).rejects.toThrow(/timeout|abort/i)
  })
})
