/** The choice that differs least in spelling, where it differs little: by at most a third of its letters. */
export const nearest = (text: string, choices: readonly string[]): string | undefined => {
  const ranked = choices
    .map((choice) => ({ choice, edits: editDistance(text.toLowerCase(), choice.toLowerCase()) }))
    .toSorted((a, b) => a.edits - b.edits)[0]
  return ranked && ranked.edits <= Math.max(1, Math.ceil(ranked.choice.length / 3)) ? ranked.choice : undefined
}

/** Letters of the names that a slip of one, and of two, is told from a name of its own. */
const [ONE_SLIP, TWO_SLIPS] = [5, 8]

/** Which of the known names was probably meant; undefined for a known one, and for what is a name of its own. */
export const misspelt = (name: string, known: readonly string[]): string | undefined => {
  if (known.includes(name)) return undefined
  return known.find((each) => {
    const slips = each.length >= TWO_SLIPS ? 2 : each.length >= ONE_SLIP ? 1 : 0
    return slips > 0 && Math.abs(each.length - name.length) <= slips && editDistance(name.toLowerCase(), each) <= slips
  })
}

/** Levenshtein's distance, two neighbours in the wrong order counting as one. */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, at) => [at, ...Array<number>(b.length).fill(0)])
  rows[0] = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, rows[i - 2]![j - 2]! + 1)
      rows[i]![j] = least
    }
  return rows[a.length]![b.length]!
}
