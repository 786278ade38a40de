import * as z from 'zod'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** One instance, so that schemas made from it share one definition in the OpenAPI document. */
export const JsonValue = z.json()
export const JsonObject: z.ZodType<JsonObject, JsonObject> = z.record(z.string(), JsonValue)
