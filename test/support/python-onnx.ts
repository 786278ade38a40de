import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** A Python that has the `onnx` package: the machine's own, or one that `.ci/run` or the benches installed for themselves. */
const root = join(import.meta.dirname, '../..')
const candidates = ['python3', join(root, '.cache/python/bin/python'), join(root, 'bench/.cache/peers/bin/python')]

/** The first such Python, or undefined where there is none. */
export const pythonWithOnnx = (): string | undefined =>
  candidates.find((python) => spawnSync(python, ['-c', 'import onnx.checker'], { stdio: 'ignore' }).status === 0)

const judge = `
import sys, json, onnx, onnx.checker, onnx.shape_inference
for path in json.load(sys.stdin):
    try:
        onnx.checker.check_model(path, full_check=True)
        onnx.shape_inference.infer_shapes_path(path, path + '.inferred', strict_mode=True, data_prop=True)
        print(json.dumps([path, None]))
    except Exception as error:
        print(json.dumps([path, str(error)[:600]]))
`

/** What the official checker and its strict shape inference say against each file; null where they have nothing to say. */
export const judgedByOnnx = (python: string, paths: readonly string[]): [path: string, complaint: string | null][] => {
  const { stdout, stderr, status } = spawnSync(python, ['-c', judge], { input: JSON.stringify(paths), encoding: 'utf8' })
  if (status !== 0) throw new Error(`The checker ended with ${status}: ${stderr.slice(-600)}`)
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}
