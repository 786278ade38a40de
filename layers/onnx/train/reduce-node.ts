import type { ModelProto, NodeProto } from '../codec/schema.ts'
import { int64Tensor, intAttr, intsAttr, makeNode } from '../graph/build.ts'
import { opsetOf } from '../graph/opsets.ts'
import { mainGraph } from '../graph/walk.ts'

/** Since opset 18 the axes of ReduceMean and ReduceMax are an input, before they are an attribute. */
export const reduceNode = (
  model: ModelProto,
  op_type: 'ReduceMean' | 'ReduceMax',
  input: string,
  axes: readonly number[],
  output: string,
  keepdims = true,
): NodeProto[] => {
  const keep = intAttr('keepdims', Number(keepdims))
  if ((opsetOf(model) ?? 1) < 18) return [makeNode(op_type, [input], [output], { attributes: [intsAttr('axes', axes), keep] })]
  const axes_name = `${output}/axes`
  mainGraph(model).initializer.push(int64Tensor(axes_name, axes))
  return [makeNode(op_type, [input, axes_name], [output], { attributes: [keep] })]
}
