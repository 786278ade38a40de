import { lookup as resolveName } from 'node:dns'
import { request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net'

const usual_timeout_ms = 3000
/** Key sets and discovery documents have a few kilobytes. */
const most_bytes = 262_144

export interface FetchRules {
  /** Also plain HTTP, and addresses of this machine and of private networks. */
  allow_private: boolean
  /** For the whole of it; three seconds unless told. */
  timeout_ms?: number
}

/** Networks nobody's identity provider lives in (RFC 6890): a name that points there would make the platform ask its own insides. */
const private_networks = new BlockList()
for (const network of [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/127', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '2002::/16', 'fc00::/7', 'fe80::/10'],
  'ff00::/8',
]) {
  const [base = '', bits] = network.split('/')
  private_networks.addSubnet(base, Number(bits), isIPv6(base) ? 'ipv6' : 'ipv4')
}

/** IPv4-mapped IPv6 addresses are judged by their IPv4 part; `BlockList` does that itself. */
export const isPrivateAddress = (address: string): boolean => private_networks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

/**
 * A JSON document from a URL that configuration names. The address is judged when the connection is made, so that a name cannot be
 * resolved once for the check and otherwise for the request. Redirects are not followed; at most three seconds and 256 kB.
 * Fails with an Error that says why.
 */
export const fetchJson = async (url: string, { allow_private, timeout_ms = usual_timeout_ms }: FetchRules): Promise<unknown> => {
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'https:' && !(allow_private && protocol === 'http:')) throw new Error(`${url} is not https`)
  const literal = hostname.replace(/^\[|\]$/g, '')
  if (!allow_private && isIP(literal) !== 0 && isPrivateAddress(literal)) throw new Error(`${url} is a private address`)
  const signal = AbortSignal.timeout(timeout_ms)
  const rules = allow_private ? { signal } : { signal, lookup: publicOnly }
  const body = await download(url, protocol === 'https:' ? overHttps : overHttp, rules)
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new Error(`${url} did not answer JSON`, { cause })
  }
}

const download = (
  url: string,
  send: typeof overHttps,
  rules: { signal: AbortSignal; lookup?: LookupFunction },
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const asked = send(url, { headers: { accept: 'application/json' }, agent: false, ...rules }, (answer) => {
      const chunks: Buffer[] = []
      let size_bytes = 0
      answer.on('data', (chunk: Buffer) => {
        size_bytes += chunk.length
        chunks.push(chunk)
        if (size_bytes > most_bytes) answer.destroy(new Error(`${url} answered more than ${most_bytes} bytes`))
      })
      answer.once('error', reject)
      answer.once('end', () => resolve(Buffer.concat(chunks)))
      if (answer.statusCode !== 200) answer.destroy(new Error(`${url} answered ${answer.statusCode}; wanted 200`))
    })
    asked.once('error', reject)
    asked.end()
  })

const publicOnly: LookupFunction = (hostname, options, answer) =>
  resolveName(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? []
    if (error || !first) return answer(error ?? new Error(`${hostname} has no address`), [])
    if (addresses.some(({ address }) => isPrivateAddress(address)))
      return answer(new Error(`${hostname} is a name for a private address`), [])
    return options.all === true ? answer(null, addresses) : answer(null, first.address, first.family)
  })
