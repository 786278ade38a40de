const factors: Record<string, number> = {
  '': 1,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
}

/** Bytes of a memory quantity as Kubernetes writes it, e.g. `512Mi` or `2Gi`; the schema of `ResourceRequirements` admits no other text. */
export const memoryBytes = (quantity: string): number => {
  const parts = quantity.match(/^(\d+(?:\.\d+)?)([KMGT]i?)?$/)
  const factor = factors[parts?.[2] ?? '']
  if (!parts || factor === undefined) throw new RangeError(`memory is ${quantity}; wanted bytes as "512Mi" or "2Gi"`)
  return Math.round(Number(parts[1]) * factor)
}

/** Cores of a CPU quantity: `500m` is 0.5, `2` is 2. */
export const cpuCores = (quantity: string): number => {
  if (!/^(\d+m|\d+(\.\d+)?)$/.test(quantity)) throw new RangeError(`cpu is ${quantity}; wanted cores as "0.5", "2" or "500m"`)
  return quantity.endsWith('m') ? Number(quantity.slice(0, -1)) / 1000 : Number(quantity)
}
