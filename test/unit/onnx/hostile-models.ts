import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DataType } from '../../../layers/onnx/codec/data-types.ts'
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../../../layers/onnx/codec/schema.ts'
import { encodeModel } from '../../../layers/onnx/codec/write-model.ts'
import {
  graphAttr,
  int64Tensor,
  makeGraph,
  makeModel,
  makeNode,
  makeTensor,
  makeValueInfo,
} from '../../../layers/onnx/graph/build.ts'

const WIDTH = 64
const weight = (name: string): TensorProto =>
  makeTensor(
    name,
    [WIDTH, WIDTH],
    Float32Array.from({ length: WIDTH * WIDTH }, (_, at) => Math.sin(at + name.length)),
  )
const float = (name: string, shape?: (number | string)[]) => makeValueInfo(name, DataType.FLOAT, shape)

/** Two dense layers, large enough for every optimizer to want them, and whatever else. */
const harmless = (extra: { nodes?: NodeProto[]; initializers?: TensorProto[]; first?: TensorProto } = {}): ModelProto =>
  makeModel(
    makeGraph({
      nodes: [
        makeNode('MatMul', ['x', 'w1'], ['m1']),
        makeNode('Relu', ['m1'], ['r1']),
        makeNode('MatMul', ['r1', 'w2'], ['y']),
        ...(extra.nodes ?? []),
      ],
      inputs: [float('x', [1, WIDTH])],
      outputs: [float('y'), ...(extra.nodes ?? []).slice(-1).flatMap((node) => node.output.map((name) => float(name)))],
      initializers: [extra.first ?? weight('w1'), weight('w2'), ...(extra.initializers ?? [])],
    }),
  )

const elsewhere = (location: string, entries: Record<string, string> = {}): ModelProto => {
  const { raw_data: _, ...tensor } = weight('w1')
  const external_data = Object.entries({ location, ...entries }).map(([key, value]) => ({ key, value }))
  return harmless({ first: { ...tensor, external_data, data_location: 1 } })
}

const flag = (name: string): TensorProto => makeTensor(name, [], Uint8Array.of(1), DataType.BOOL)

/** Runs until somebody kills it: the trip count is left out and the condition stays true. */
const endless = (): ModelProto => {
  const body: GraphProto = makeGraph({
    nodes: [makeNode('Identity', ['go'], ['go_on']), makeNode('Relu', ['v'], ['next'])],
    inputs: [makeValueInfo('i', DataType.INT64, []), makeValueInfo('go', DataType.BOOL, []), float('v', [1, WIDTH])],
    outputs: [makeValueInfo('go_on', DataType.BOOL, []), float('next', [1, WIDTH])],
  })
  const model = harmless({ initializers: [flag('always')] })
  model.graph!.node.push(makeNode('Loop', ['', 'always', 'y'], ['z'], { attributes: [graphAttr('body', body)] }))
  model.graph!.output = [float('z')]
  return model
}

const nestedIf = (depth: number): GraphProto => {
  const name = `level${depth}`
  const nodes =
    depth === 0
      ? [makeNode('Relu', ['x'], [name])]
      : [
          makeNode('If', ['always'], [name], {
            attributes: ['then_branch', 'else_branch'].map((branch) =>
              graphAttr(branch, depth > 4 && branch === 'else_branch' ? nestedIf(0) : nestedIf(depth - 1)),
            ),
          }),
        ]
  return makeGraph({ name, nodes, outputs: [float(name)] })
}

const withTensor = (changes: Partial<TensorProto>): ModelProto => harmless({ first: { ...weight('w1'), ...changes } })

export interface HostileModel {
  name: string
  path: string
  /** The answer must be a refusal, whoever is asked. */
  refused: boolean
  /** Never ends by itself, asks for more memory than there is, or takes longer than a test may. */
  endless?: true
}

/** Writes the corpus into `folder`, each model in a folder of its own, beside a file that none of them may read. */
export const hostileModels = (folder: string): HostileModel[] => {
  const secret = join(folder, 'secret')
  const weights = Buffer.from(weight('w1').raw_data ?? [])
  writeFileSync(secret, weights)
  // A model that comes as bytes is resolved against the working folder, which for child processes is this one.
  const in_cwd = join(tmpdir(), basename(`${folder}-in-cwd.bin`))
  writeFileSync(in_cwd, weights)
  const models: HostileModel[] = []
  const add = (
    name: string,
    content: ModelProto | Uint8Array,
    options: { refused?: boolean; endless?: true; beside?(own: string): void } = {},
  ): void => {
    const own = join(folder, String(models.length))
    mkdirSync(own)
    options.beside?.(own)
    const path = join(own, 'model.onnx')
    writeFileSync(path, content instanceof Uint8Array ? content : encodeModel(content))
    models.push({ name, path, refused: options.refused ?? true, ...(options.endless ? { endless: true } : {}) })
  }
  add('weights in the folder above', elsewhere('../secret'))
  add('weights at an absolute path', elsewhere(secret))
  add('weights in /dev/zero', elsewhere('/dev/zero'))
  add('weights behind a symbolic link', elsewhere('link'), { beside: (own) => symlinkSync(secret, join(own, 'link')) })
  add('weights behind a hard link', elsewhere('twice'), { beside: (own) => linkSync(secret, join(own, 'twice')) })
  add('weights in a neighbour', elsewhere('other.onnx'), { beside: (own) => writeFileSync(join(own, 'other.onnx'), weights) })
  add('weights in the working folder', elsewhere(basename(in_cwd)))
  add('weights longer than their file', elsewhere('short', { length: '99999999' }), {
    beside: (own) => writeFileSync(join(own, 'short'), weights),
  })
  add('weights of 2^62 elements', withTensor({ dims: [2 ** 31, 2 ** 31], raw_data: new Uint8Array(0) }))
  add('weights of 16 TB', withTensor({ dims: [2 ** 21, 2 ** 21] }))
  add('weights of negative size', withTensor({ dims: [-64, -64] }))
  add('weights shorter than their shape', withTensor({ raw_data: new Uint8Array(100) }))
  add('typed weights shorter than their shape', withTensor({ raw_data: undefined, float_data: new Float32Array(7) }))
  add('weights of an unknown type', withTensor({ data_type: 99 }))
  add(
    'noise',
    Uint8Array.from({ length: 5000 }, (_, at) => (at * 7919 + 13) % 251),
  )
  add('nothing', new Uint8Array(0))
  add('half a model', encodeModel(harmless()).subarray(0, 20_000))
  add('branches 90 deep', harmless({ nodes: [...nestedIf(90).node], initializers: [flag('always')] }))
  add('a value made twice', harmless({ nodes: [makeNode('Neg', ['x'], ['m1'])] }))
  add('a circle', harmless({ nodes: [makeNode('Neg', ['b'], ['a']), makeNode('Neg', ['a'], ['b'])] }))
  add(
    '80 GB of one number',
    harmless({
      nodes: [makeNode('ConstantOfShape', ['huge'], ['zeros']), makeNode('ReduceSum', ['zeros'], ['sum'])],
      initializers: [int64Tensor('huge', [20_000_000_000])],
    }),
    { refused: false, endless: true },
  )
  add('a loop without end', endless(), { refused: false, endless: true })
  add(
    '100,000 nodes',
    harmless({
      nodes: Array.from({ length: 100_000 }, (_, at) => makeNode('Relu', [at === 0 ? 'x' : `n${at - 1}`], [`n${at}`])),
    }),
    { refused: false, endless: true },
  )
  return models
}
