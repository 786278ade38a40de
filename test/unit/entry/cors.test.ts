import { describe, expect, it } from 'vitest'
import { corsHeaders } from '../../../functions/entry/cors.ts'

const allowed = ['https://app.example.org', 'http://localhost:5173']

describe('answers to browser applications', () => {
  it('may be read by an allowed origin alone', () => {
    expect(corsHeaders({ Origin: 'https://app.example.org' }, allowed)).toMatchObject({
      'access-control-allow-origin': 'https://app.example.org',
      vary: 'origin',
    })
    for (const origin of ['https://evil.example', 'https://app.example.org.evil.example', 'null', 'HTTPS://APP.EXAMPLE.ORG'])
      expect(corsHeaders({ origin }, allowed)).toEqual({ vary: 'origin' })
  })

  it('never allow every origin, and say nothing where none is allowed', () => {
    expect(corsHeaders({ origin: 'https://app.example.org' }, [])).toEqual({})
    expect(corsHeaders({ origin: 'https://app.example.org' }, undefined)).toEqual({})
    expect(corsHeaders({}, allowed)).toEqual({ vary: 'origin' })
  })

  it('show a script what it needs beside the body', () => {
    const shown = corsHeaders({ origin: allowed[1] }, allowed)['access-control-expose-headers']
    for (const name of ['retry-after', 'link', 'x-request-id']) expect(shown).toContain(name)
  })
})
