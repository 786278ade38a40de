/** `MatMul 3×, Gather 1×` */
export const counted = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([what, count]) => `${what} ${count}×`)
    .join(', ')
