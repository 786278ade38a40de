import { BlockList, isIPv4 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressBlock, inCidr, parseAddress } from '../../../layers/core/domain/cidr.ts'
import { authorize, type Demand } from '../../../layers/core/domain/policy.ts'
import { KeyPolicy, type Principal } from '../../../layers/core/domain/principal.ts'

const now = new Date('2026-11-21T12:00:00.000Z')
const key = (policy?: KeyPolicy, role: Principal['role'] = 'admin'): Principal => ({
  kind: 'api_key',
  id: 'key_1',
  name: 'ci',
  organization_id: 'org_1',
  role,
  ...(policy && { policy }),
})
const invoke: Demand = { role: 'viewer', action: 'deployments:invoke', resource: 'deployments/dep_1' }
const verdict = (policy: KeyPolicy, demand: Partial<Demand> = {}, from = '10.1.2.3') => {
  const answer = authorize(key(KeyPolicy.parse(policy)), { ...invoke, ...demand }, from, now)
  return answer.allowed ? 'allowed' : answer.code
}

describe('authorize', () => {
  it('ranks the roles', () => {
    const roles = ['viewer', 'editor', 'admin'] as const
    const allowed = roles.map((has) =>
      roles.map((needs) => authorize(key(undefined, has), { ...invoke, role: needs }, '10.1.2.3', now).allowed),
    )
    expect(allowed).toEqual([
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ])
    expect(authorize(key(undefined, 'viewer'), { ...invoke, role: 'admin' }, '10.1.2.3', now)).toMatchObject({
      code: 'forbidden',
    })
  })

  it('matches actions with wildcards on either side', () => {
    expect(verdict({ actions: ['deployments:invoke'] })).toBe('allowed')
    expect(verdict({ actions: ['models:read', 'deployments:*'] })).toBe('allowed')
    expect(verdict({ actions: ['*:invoke'] })).toBe('allowed')
    expect(verdict({ actions: ['*:*'] })).toBe('allowed')
    expect(verdict({ actions: ['deployments:read'] })).toBe('policy_denied')
    expect(verdict({ actions: ['models:*'] })).toBe('policy_denied')
    expect(verdict({ actions: ['deployments:read'] }, { action: 'deployments:reads' })).toBe('policy_denied')
  })

  it('matches resources exactly or by kind, and rows without an id by kind only', () => {
    expect(verdict({ resources: ['deployments/dep_1'] })).toBe('allowed')
    expect(verdict({ resources: ['deployments/*'] })).toBe('allowed')
    expect(verdict({ resources: ['deployments/dep_10', 'models/*'] })).toBe('policy_denied')
    expect(verdict({ resources: ['deployments/dep_1'] }, { resource: 'deployments/dep_11' })).toBe('policy_denied')
    expect(verdict({ resources: ['deployments/dep_1'] }, { resource: 'deployments/*' })).toBe('policy_denied')
    expect(verdict({ resources: ['deployments/*'] }, { resource: 'deployments/*' })).toBe('allowed')
    expect(verdict({ resources: ['deploy/*'] })).toBe('policy_denied')
  })

  it('wants every member that is present', () => {
    const policy = {
      actions: ['deployments:invoke'],
      resources: ['deployments/dep_1'],
      source_cidrs: ['10.0.0.0/8'],
      expires_at: '2026-11-21T12:00:01Z',
    }
    expect(verdict(policy)).toBe('allowed')
    expect(verdict(policy, {}, '11.0.0.1')).toBe('policy_denied')
    expect(verdict({ ...policy, expires_at: '2026-11-21T12:00:00Z' })).toBe('token_expired')
    expect(verdict({ ...policy, expires_at: '2026-11-21T14:00:00+03:00' })).toBe('token_expired')
    expect(verdict({})).toBe('allowed')
  })

  it('reads addresses in every spelling', () => {
    expect(verdict({ source_cidrs: ['10.0.0.0/8'] }, {}, '::ffff:10.1.2.3')).toBe('allowed')
    expect(verdict({ source_cidrs: ['10.0.0.0/8'] }, {}, '::FFFF:0a01:0203')).toBe('allowed')
    expect(verdict({ source_cidrs: ['::ffff:10.0.0.0/104'] })).toBe('allowed')
    expect(verdict({ source_cidrs: ['2001:db8::/32'] }, {}, '2001:DB8:0:0::9%eth0')).toBe('allowed')
    expect(verdict({ source_cidrs: ['0.0.0.0/0'] }, {}, '2001:db8::1')).toBe('policy_denied')
    expect(verdict({ source_cidrs: ['::/0'] }, {}, '10.1.2.3')).toBe('policy_denied')
    for (const odd of [
      '',
      'localhost',
      '10.1.2',
      '10.1.2.3.4',
      '010.1.2.3',
      '10.1.2.256',
      '1:2',
      ':::',
      '1::2::3',
      '12345::',
      '::1.2.3',
    ])
      expect(parseAddress(odd), odd).toBeUndefined()
    expect(verdict({ source_cidrs: ['0.0.0.0/0', '::/0'] }, {}, 'unknown')).toBe('policy_denied')
  })
})

describe('inCidr', () => {
  it('agrees with the BlockList of Node within a family', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6())
    fc.assert(
      fc.property(address, address, fc.nat(128), fc.boolean(), (network, other, wanted, near) => {
        const family = isIPv4(network) ? 'ipv4' : 'ipv6'
        const length = family === 'ipv4' ? wanted % 33 : wanted
        const list = new BlockList()
        list.addSubnet(network, length, family)
        const probe = near ? network : other
        if (isMapped(probe) || isMapped(network)) return
        const families_differ = isIPv4(probe) !== isIPv4(network)
        expect(inCidr(probe, `${network}/${length}`)).toBe(!families_differ && list.check(probe, family))
      }),
      { numRuns: 2000 },
    )
  })

  it('groups addresses by who holds them', () => {
    expect(addressBlock('::ffff:192.0.2.1')).toBe(addressBlock('192.0.2.1'))
    expect(addressBlock('2001:db8::1')).toBe(addressBlock('2001:db8::ffff:1'))
    expect(addressBlock('2001:db8:0:1::1')).not.toBe(addressBlock('2001:db8:0:2::1'))
  })
})

/** Node counts IPv4 as part of `::/0` and keeps `::ffff:0:0/96` in the IPv6 family; here the families stay apart and a mapped address is IPv4. */
const isMapped = (text: string): boolean => text.includes(':') && parseAddress(text)?.bits === 32

describe('a policy', () => {
  it('with a member nobody knows is refused, for it would restrict nothing', () => {
    expect(KeyPolicy.safeParse({ source_cidr: ['10.0.0.0/8'] }).error?.issues).toMatchObject([{ keys: ['source_cidr'] }])
    expect(KeyPolicy.safeParse({ source_cidrs: ['10.0.0.0/8'] }).success).toBe(true)
  })
})
