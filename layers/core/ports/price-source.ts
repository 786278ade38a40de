import type { Price } from '../domain/price.ts'

/** Where prices come from. A source yields all it has; the catalogue keeps its last good state when a source fails. */
export interface PriceSource {
  name: string
  every_hours: number
  prices(): AsyncIterable<Price>
}
