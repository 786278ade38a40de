import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { requestBodies } from '../../../layers/deployers/process/request-bodies.ts'

const stream = (...sizes: number[]) =>
  Readable.from(
    sizes.map((size) => new Uint8Array(size)),
    { objectMode: true },
  )

describe('request bodies in memory', () => {
  it('are each bounded, by what they declare and by what arrives', async () => {
    const collect = requestBodies(100, 1000)
    await expect(collect(stream(1), 101)).rejects.toMatchObject({ code: 'payload_too_large' })
    await expect(collect(stream(60, 60), 0)).rejects.toMatchObject({ code: 'payload_too_large' })
    await expect(collect(new Uint8Array(101), 0)).rejects.toMatchObject({ code: 'payload_too_large' })
    expect((await collect(stream(60, 40), 100)).pieces).toHaveLength(2)
  })

  it('are bounded together, and room comes back when a call is over or its body failed', async () => {
    const collect = requestBodies(100, 150)
    const first = await collect(stream(100), 0)
    await expect(collect(stream(40, 20), 0)).rejects.toMatchObject({ code: 'overloaded', status: 429 })
    const second = await collect(new Uint8Array(50), 0)
    await expect(collect(new Uint8Array(1), 0)).rejects.toMatchObject({ code: 'overloaded' })
    first.release()
    first.release()
    const third = await collect(new Uint8Array(100), 0)
    await expect(collect(new Uint8Array(1), 0)).rejects.toMatchObject({ code: 'overloaded' })
    second.release()
    third.release()
    expect((await collect(new Uint8Array(100), 0)).pieces).toHaveLength(1)
  })
})
