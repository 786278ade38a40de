import { restoreHome } from '../layers/compose/restore.ts'
import { readSettings } from '../layers/compose/settings.ts'

/** `npm run restore -- FILE`: brings a backup back into an empty AIDEPLOY_HOME. */
const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('usage: npm run restore -- FILE\n')
  process.exit(2)
}
try {
  const { AIDEPLOY_HOME } = readSettings(process.env)
  const back = await restoreHome({ home: AIDEPLOY_HOME, file })
  process.stdout.write(
    `restored ${back.files} files of ${back.created_at} into ${back.home}; start the platform with npm start\n`,
  )
} catch (error) {
  process.stderr.write(`restore failed: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
