import { describe, expect, it } from 'vitest'
import { issueToken } from '../../../layers/core/usecases/issue-token.ts'
import { embeddedIdentity } from '../../../layers/identity/embedded.ts'
import { admin_password, identityHouse, issuer, source_ip } from '../../support/identity.ts'
import { failure } from '../../support/records.ts'

const wrong = { username: 'admin', password: 'wrong', source_ip }

describe('sign-in', () => {
  it('answers a wrong password and an unknown user alike', async () => {
    const { app } = await identityHouse()
    const a = await failure('unauthenticated', issueToken(app, wrong))
    const b = await failure('unauthenticated', issueToken(app, { ...wrong, username: 'nobody' }))
    const c = await failure('unauthenticated', issueToken(app, { ...wrong, username: 'x'.repeat(1024) }))
    expect(new Set([a.message, b.message, c.message]).size).toBe(1)
  })

  it('knows a name in any case and Unicode form, and a password in any Unicode form', async () => {
    const { signIn } = await identityHouse()
    expect(await signIn('ADMIN')).toBeTruthy()
    expect(await signIn('ａｄｍｉｎ')).toBeTruthy()
  })

  it('slows a name down after ten failures, more with every further one, and not by more than a minute', async () => {
    const { app, signIn, advance } = await identityHouse()
    const fail = () => failure('unauthenticated', issueToken(app, wrong))
    for (let tried = 0; tried < 10; tried += 1) await fail()
    const waits: number[] = []
    for (let round = 0; round < 9; round += 1) {
      const { extras } = await failure('rate_limited', signIn())
      waits.push(extras.retry_after_s ?? 0)
      advance(waits.at(-1) ?? 0)
      await fail()
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
    await failure('rate_limited', signIn())
    advance(60)
    expect(await signIn()).toBeTruthy()
    await fail()
  })

  it('cannot be outrun by a burst', async () => {
    const { app } = await identityHouse()
    const burst = await Promise.allSettled(Array.from({ length: 40 }, () => issueToken(app, wrong)))
    const codes = burst.map((each) => (each.status === 'rejected' ? each.reason.code : 'signed in'))
    expect(codes.filter((code) => code === 'unauthenticated')).toHaveLength(10)
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(30)
  })

  it('slows an address down across names, an IPv6 one by its /64, and leaves others alone', async () => {
    const { app } = await identityHouse()
    const spray = (at: number, from: string) => issueToken(app, { username: `user${at}`, password: 'guess', source_ip: from })
    for (let at = 0; at < 50; at += 1) await failure('unauthenticated', spray(at, `2001:db8:1:2::${at.toString(16)}`))
    await failure('rate_limited', spray(50, '2001:db8:1:2:ffff::1'))
    await failure('unauthenticated', spray(51, '2001:db8:1:3::1'))
  })

  it('ends with a changed password, at once and for tokens issued before', async () => {
    const { app, signIn } = await identityHouse()
    const token = await signIn()
    const claims = await app.identity.verify(token)
    await app.identity.setPassword(claims, 'another long password')
    await failure('unauthenticated', app.identity.verify(token))
    await failure('unauthenticated', signIn())
    expect(await signIn('admin', 'another long password')).toBeTruthy()
    await app.identity.forget(claims)
    await failure('unauthenticated', signIn('admin', 'another long password'))
  })

  it('sets no password for a name that another user holds by now', async () => {
    const { app, signIn } = await identityHouse()
    const claims = await app.identity.verify(await signIn())
    await failure('not_found', app.identity.setPassword({ ...claims, user_id: 'usr_gone' }, 'another long password'))
    expect(await signIn()).toBeTruthy()
  })

  it('keeps no password, but a salted hash of the full cost', async () => {
    const { app, store } = await identityHouse()
    const identity = embeddedIdentity({ ...app, issuer })
    for (const username of ['twin', 'other'])
      await identity.enrol({ user_id: `usr_${username}`, username, organization_id: 'org_2' }, admin_password)
    expect(await identity.checkPassword('twin', admin_password)).toBe(true)
    const stored = JSON.stringify(store.changes(0, 1000))
    expect(stored).not.toContain(admin_password)
    const hashes = [...stored.matchAll(/"n":32768,"r":8,"p":1,"salt":"[^"]{22}","hash":"([^"]{43})"/g)].map((match) => match[1])
    expect(new Set(hashes).size).toBe(2)
  })
})
