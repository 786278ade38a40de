import type { Feeds } from '../../evaluate/tensors.ts'

/** Every third sample judges, the others fit; one alone does both. */
export function setAside(samples: readonly Feeds[]): [fit: Feeds[], held_out: Feeds[]] {
  if (samples.length < 2) return [[...samples], [...samples]]
  const judges = (at: number): boolean => at % 3 === 2 || (samples.length === 2 && at === 1)
  return [samples.filter((_, at) => !judges(at)), samples.filter((_, at) => judges(at))]
}
