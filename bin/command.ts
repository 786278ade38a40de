import { type ParseArgsConfig, parseArgs } from 'node:util'

/** The options a command was given. What is wrong with them is said with the usage, and ends the process with 2. */
export const readOptions = <const Options extends NonNullable<ParseArgsConfig['options']>>(usage: string, options: Options) => {
  try {
    return parseArgs<{ options: Options }>({ options }).values
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\nusage: ${usage}\n`)
    return process.exit(2)
  }
}

/** What went wrong, for the person who typed the command: what the AWS SDK wants of them is said in words they can act on. */
export const messageOf = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  if (/region is missing/i.test(message))
    return 'No region is known; wanted --region us-east-1, AWS_REGION, or a profile that names one'
  if (/could not load credentials/i.test(message))
    return 'No credentials of an AWS account are known; wanted AWS_PROFILE, AWS_ACCESS_KEY_ID or a signed-in session'
  return message
}

/** Runs a command: its answer is the exit code, and a failure is one line with 1. */
export const runCommand = async (failed: string, run: () => Promise<number>): Promise<void> => {
  process.exitCode = await run().catch((error: unknown) => {
    process.stderr.write(`${failed}: ${messageOf(error)}\n`)
    return 1
  })
}
