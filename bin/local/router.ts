import { PlatformError } from '../../layers/core/contract/errors.ts'
import type { RouteRow } from '../../layers/core/contract/route-row.ts'
import type { RouteId } from '../../layers/core/contract/routes.ts'

export type Row = RouteRow & { id: RouteId }

export interface Match {
  row: Row
  params: Record<string, string>
}

interface Node {
  children: Map<string, Node>
  variable?: { name: string; node: Node }
  rest?: { name: string; rows: Map<string, Row> }
  rows: Map<string, Row>
}

const emptyNode = (): Node => ({ children: new Map(), rows: new Map() })

/** A tree of path segments built from the route table; a fixed segment wins over a variable, as in API Gateway. */
export const router = (rows: readonly Row[]): ((method: string, path: string) => Match) => {
  const root = emptyNode()
  for (const row of rows) insert(root, row)
  return (method, path) => {
    const params: Record<string, string> = {}
    const found = walk(root, path.split('/').slice(1), 0, params)
    if (found === undefined) throw new PlatformError('not_found', `There is no ${path.slice(0, 200)}`)
    const row = found.get(method)
    if (row === undefined) throw methodNotAllowed(path, method, [...found.keys()])
    return { row, params }
  }
}

const methodNotAllowed = (path: string, got: string, allow: string[]): PlatformError =>
  new PlatformError('method_not_allowed', `${path.slice(0, 200)} knows ${allow.join(', ')}; got ${got}`, { allow })

const insert = (root: Node, row: Row): void => {
  let node = root
  for (const segment of row.path.split('/').slice(1)) {
    const variable = segment.match(/^\{(.+?)(\+?)\}$/)
    if (variable === null) node = child(node, segment)
    else if (variable[2] === '+') {
      node.rest ??= { name: variable[1] ?? '', rows: new Map() }
      node.rest.rows.set(row.method, row)
      return
    } else {
      node.variable ??= { name: variable[1] ?? '', node: emptyNode() }
      node = node.variable.node
    }
  }
  node.rows.set(row.method, row)
}

const child = (node: Node, segment: string): Node => {
  const known = node.children.get(segment) ?? emptyNode()
  node.children.set(segment, known)
  return known
}

const walk = (node: Node, segments: string[], at: number, params: Record<string, string>): Map<string, Row> | undefined => {
  const segment = segments[at]
  if (segment === undefined) return node.rows.size > 0 ? node.rows : undefined
  const fixed = node.children.get(segment)
  const below = fixed && walk(fixed, segments, at + 1, params)
  if (below) return below
  if (node.variable && segment !== '') {
    params[node.variable.name] = decoded(segment)
    const found = walk(node.variable.node, segments, at + 1, params)
    if (found) return found
  }
  if (node.rest === undefined) return undefined
  params[node.rest.name] = segments.slice(at).join('/')
  return node.rest.rows
}

const decoded = (segment: string): string => {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new PlatformError('bad_request', `The path segment ${segment.slice(0, 100)} is not percent-encoded UTF-8`, { cause })
  }
}
