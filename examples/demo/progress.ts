/** One step of the demo: its title while it runs, then what came of it and how long it took. */
export const step = async <Result>(
  title: string,
  run: () => Promise<Result>,
  tell: (result: Result) => string,
): Promise<Result> => {
  if (process.stdout.isTTY) process.stdout.write(`  … ${title}`)
  const started_ms = performance.now()
  const result = await run()
  const line = `  ✓ ${title.padEnd(31)} ${tell(result)}  (${((performance.now() - started_ms) / 1000).toFixed(1)} s)\n`
  process.stdout.write(process.stdout.isTTY ? `\r\x1b[K${line}` : line)
  return result
}
