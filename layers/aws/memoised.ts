/** Makes it at the first call and answers the same from then on. */
export const memoised = <Made>(make: () => Made): (() => Made) => {
  let made: Made | undefined
  return () => (made ??= make())
}
