/**
 * Compares an answer with the one the API reference documents: every documented member is there with the documented type and
 * nullability. Further members are allowed; `maps` names members whose keys are ids or kinds and not part of the contract.
 */
export const departures = (documented: unknown, actual: unknown, maps: readonly string[] = [], at = ''): string[] => {
  if (documented === null)
    return actual === null || ['string', 'number'].includes(typeof actual)
      ? []
      : [`${at}: documented as nullable scalar, got ${kind(actual)}`]
  if (kind(documented) !== kind(actual)) return [`${at}: documented ${kind(documented)}, got ${kind(actual)}`]
  if (Array.isArray(documented) && Array.isArray(actual))
    return actual.flatMap((item, index) => departures(documented[0], item, maps, `${at}[${index}]`))
  if (typeof documented === 'string' && isTime(documented) && !isTime(String(actual)))
    return [`${at}: documented ISO 8601 in UTC, got ${String(actual)}`]
  if (typeof documented !== 'object') return []
  const members = Object.entries(Object(actual))
  if (maps.includes(at.replace(/\[\d+\]\.?/g, '')))
    return members.flatMap(([key, value]) =>
      departures(Object.values(Object(documented))[0] ?? value, value, maps, `${at}.*`).map((text) => `${text} (${key})`),
    )
  return Object.entries(Object(documented)).flatMap(([key, value]) => {
    const path = at === '' ? key : `${at}.${key}`
    return key in Object(actual)
      ? departures(value, Reflect.get(Object(actual), key), maps, path)
      : [`${path}: documented, but missing`]
  })
}

const kind = (value: unknown): string => {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

const isTime = (text: string): boolean => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text)
