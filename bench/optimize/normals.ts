/** Independent normal numbers from uniform ones (Box–Muller). */
export const normals = (random: () => number, count: number, scale: number, mean = 0): Float32Array<ArrayBuffer> => {
  const drawn = new Float32Array(count)
  for (let at = 0; at < count; at += 2) {
    const radius = scale * Math.sqrt(-2 * Math.log(1 - random()))
    const angle = 2 * Math.PI * random()
    drawn[at] = mean + radius * Math.cos(angle)
    if (at + 1 < count) drawn[at + 1] = mean + radius * Math.sin(angle)
  }
  return drawn
}
