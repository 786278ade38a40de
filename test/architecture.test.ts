import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** Who may import whom: folder → folders it may reach besides itself. The first rule whose prefix fits a file counts. */
const walls: readonly (readonly [from: string, to: readonly string[]])[] = [
  ['layers/core/domain', []],
  ['layers/core/contract', ['layers/core/domain']],
  ['layers/core/ports', ['layers/core/contract', 'layers/core/domain']],
  ['layers/core/usecases', ['layers/core/ports', 'layers/core/contract', 'layers/core/domain']],
  ['layers/onnx', []],
  ['layers/serving', ['layers/onnx']],
  ['layers/optimizers', ['layers/core', 'layers/onnx', 'layers/inspector']],
  ['layers/inspector', ['layers/core', 'layers/onnx']],
  ['layers/aws', ['layers/core/contract']],
  ['layers/compose', ['layers']],
  ['layers/archive', ['layers/core/contract']],
  ['layers/processing', ['layers/core', 'layers/aws', 'layers/optimizers']],
  ['layers/', ['layers/core', 'layers/aws', 'layers/archive']],
  [
    'functions/runtime',
    [
      'layers/core',
      'layers/aws',
      'layers/serving',
      'layers/model-files',
      'layers/records',
      'layers/identity',
      'layers/pricing',
      'functions/entry/render-error.ts',
    ],
  ],
  ['functions', ['layers/core', '#app']],
  [
    'lib',
    [
      'layers/core/contract',
      'layers/records/records-table.ts',
      // What deployers may do on AWS is data beside each of them.
      'layers/deployers/grants.ts',
      'layers/deployers/lambda/grants.ts',
      'layers/deployers/sagemaker/grants.ts',
    ],
  ],
  ['bin/platform.ts', ['lib']],
  ['bin/rest-cost', ['lib', 'layers/core', 'layers/pricing', 'bin/rest-cost']],
  ['bin/build.ts', ['lib', 'bin/bundle', 'layers/onnxruntime']],
  ['bin/bundle', ['lib']],
  ['bin', ['functions', 'layers', '#app']],
]

/** Packages that may appear outside `test`, and where. */
const packages: readonly (readonly [name: RegExp, where: readonly string[]])[] = [
  [/^zod$/, ['layers', 'functions', 'lib', 'bin', 'examples']],
  [/^(aws-cdk-lib|cdk-nag|constructs)(\/|$)/, ['lib']],
  [
    /^@aws-sdk\/client-(lambda|iam|cloudwatch|cloudwatch-logs|application-auto-scaling|resource-groups-tagging-api)$/,
    ['layers/deployers', 'bin/teardown.ts', 'bin/first-admin.ts', 'layers/compose/aws'],
  ],
  [/^@aws-sdk\/client-sagemaker$/, ['layers/deployers', 'layers/processing', 'layers/compose/aws', 'bin/teardown.ts']],
  [/^@aws-sdk\/client-sagemaker-runtime$/, ['layers/deployers', 'layers/compose/aws']],
  [/^@aws-sdk\/client-pricing$/, ['layers/pricing/aws-price-list.ts', 'layers/compose']],
  [
    /^@aws-sdk\//,
    [
      'layers/records',
      'layers/artifacts',
      'layers/compose/aws',
      'functions/entry/stream-record.ts',
      'functions/runtime/parts.ts',
    ],
  ],
  [/^@aws-sdk\/client-sfn$/, ['layers/workflows', 'layers/compose/aws']],
  [/^@aws-sdk\/client-cognito-identity-provider$/, ['layers/identity', 'layers/compose/aws']],
  [/^@aws-sdk\/client-secrets-manager$/, ['layers/secrets', 'layers/compose/aws']],
  [/^@aws-sdk\/client-sesv2$/, ['layers/mail', 'layers/compose/aws']],
  [/^@aws-sdk\/client-eventbridge$/, ['layers/events', 'layers/compose/aws']],
  [/^@aws-sdk\/client-sqs$/, ['bin/redrive.ts']],
  [/^@middy\/core/, ['functions/entry']],
  [/^aws-lambda$/, ['functions/entry', 'functions/runtime', 'bin/local']],
  [/^onnxruntime-node$/, ['layers/onnx', 'layers/serving', 'layers/onnxruntime']],
  [/^jose$/, ['layers/identity']],
  [/^nodemailer/, ['layers/mail']],
  [/^@fastify\/busboy$/, ['functions/entry']],
  [/^croner$/, ['bin/local']],
  [/^esbuild$/, ['bin/build.ts', 'bin/bundle']],
]

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file))

const importsOf = (file: string): string[] =>
  [
    ...readFileSync(join(root, file), 'utf8').matchAll(
      /(?:^|[\s;])(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g,
    ),
  ].map((match) => match[1] ?? match[2] ?? '')

const target = (file: string, specifier: string): string =>
  specifier.startsWith('.') ? relative(root, resolve(root, dirname(file), specifier)) : specifier
const files = ['bin', 'lib', 'functions', 'layers'].flatMap(sources)
const within = (path: string, folders: readonly string[]): boolean =>
  folders.some((folder) => path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`))
const ownFolder = (rule: string, file: string): string => (rule === 'layers/' ? file.split('/').slice(0, 2).join('/') : rule)

describe('the walls of the house', () => {
  it('let every file import only what its place allows', () => {
    const broken = files.flatMap((file) => {
      const rule = walls.find(([from]) => file.startsWith(from))
      if (rule === undefined) return [`${file} stands in no place of the plan`]
      const [from, to] = rule
      return importsOf(file)
        .map((specifier) => target(file, specifier))
        .filter(
          (path) =>
            path.startsWith('layers/') ||
            path.startsWith('lib/') ||
            path.startsWith('functions/') ||
            path.startsWith('bin/') ||
            path === '#app',
        )
        .filter((path) => !within(path, [ownFolder(from, file), ...to]))
        .map((path) => `${file} imports ${path}`)
    })
    expect(broken).toEqual([])
  })

  it('name every package where it belongs', () => {
    const broken = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => !/^(\.|#|node:)/.test(specifier))
        .filter((specifier) => !packages.some(([name, where]) => name.test(specifier) && within(file, where)))
        .map((specifier) => `${file} imports ${specifier}`),
    )
    expect(broken).toEqual([])
  })

  it('keep the environment in the compositions', () => {
    const readers = files.filter(
      (file) =>
        /process\.env/.test(readFileSync(join(root, file), 'utf8')) &&
        !within(file, ['layers/compose', 'bin', 'functions/runtime/environment.ts']),
    )
    expect(readers).toEqual([])
  })

  it('hold every file to a size that can be read in two minutes', () => {
    const long = files
      .map((file) => [file, readFileSync(join(root, file), 'utf8').split('\n').length] as const)
      .filter(([, lines]) => lines > 260)
    expect(long).toEqual([])
  })

  it('allow no file that only passes others on', () => {
    const empty = files.filter((file) =>
      /^(export (\*|\{[^}]*\}) from [^\n]+\n?)+$/.test(readFileSync(join(root, file), 'utf8').trim()),
    )
    expect(empty).toEqual([])
  })
})
