import * as z from 'zod'

/**
 * Three list forms: none of these parameters → an array of at most 1,000 with `Link: rel="next"` carrying `after`;
 * `page`/`limit` → `{data, pagination, statistics}`; `page_size`/`page_token` → AIP-158 `{items, next_page_token}`.
 */
export const ListQuery = z.object({
  page: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  page_size: z.coerce
    .number()
    .int()
    .min(0)
    .transform((size) => Math.min(size || 100, 1000))
    .optional(),
  page_token: z.string().optional(),
  after: z.string().optional(),
})
export type ListQuery = z.infer<typeof ListQuery>

export const listReply = <Item extends z.ZodType>(item: Item) =>
  z.union([
    z.array(item),
    z.object({
      data: z.array(item),
      pagination: z.object({
        page: z.number().int(),
        limit: z.number().int(),
        total: z.number().int(),
        total_pages: z.number().int(),
      }),
      statistics: z.object({ total: z.number().int(), by_status: z.record(z.string(), z.number().int()) }),
    }),
    z.object({ items: z.array(item), next_page_token: z.string() }),
  ])

export const Message = z.object({ message: z.string() })
export type Message = z.infer<typeof Message>
