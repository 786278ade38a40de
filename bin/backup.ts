import { backupHome } from '../layers/compose/backup.ts'
import { readSettings } from '../layers/compose/settings.ts'
import manifest from '../package.json' with { type: 'json' }

/** `npm run backup -- FILE`: everything below AIDEPLOY_HOME that must not be lost, as one tar file; the platform may be running. */
const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('usage: npm run backup -- FILE\n')
  process.exit(2)
}
try {
  const { AIDEPLOY_HOME } = readSettings(process.env)
  const made = await backupHome({ home: AIDEPLOY_HOME, file, now: () => new Date(), version: manifest.version })
  process.stdout.write(
    `backed up ${made.files} files of ${AIDEPLOY_HOME}, ${made.size_bytes} bytes, to ${made.file}\nit holds the keys of the platform: keep it as safe as the platform itself\n`,
  )
} catch (error) {
  process.stderr.write(`backup failed: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
