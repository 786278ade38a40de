type Verbs<Port> = { [Name in keyof Port]: Port[Name] extends (...args: never[]) => Promise<unknown> ? Name : never }[keyof Port]

/**
 * A port whose adapter, and with it the SDK client, is imported at the first call of one of its verbs: the SDK takes up to 150 ms to
 * load, which a request that does not need it should not pay.
 */
export const lazyPort = <Port extends object>(load: () => Promise<Port>, verbs: readonly Verbs<Port>[]): Port => {
  let loaded: Promise<Port> | undefined
  const call =
    (verb: Verbs<Port>) =>
    async (...args: unknown[]): Promise<unknown> => {
      loaded ??= load().catch((error: unknown) => {
        loaded = undefined
        throw error
      })
      const port = await loaded
      return Reflect.apply(port[verb] as (...given: unknown[]) => unknown, port, args)
    }
  return Object.fromEntries(verbs.map((verb) => [verb, call(verb)])) as Port
}
