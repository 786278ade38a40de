import { refuseExternalData } from '../codec/external-data.ts'
import { readModelFile } from '../codec/read-model.ts'
import { recognise } from '../formats/recognise.ts'
import { checkModel } from './check-onnx.ts'

/**
 * Refuses a foreign ONNX file that is broken or keeps weights elsewhere, before the runtime or an optimizer opens it: constant memory,
 * nothing is executed. Files of other formats pass.
 * @throws OnnxFault, any code; naming the node, tensor or byte
 */
export const checkModelFile = (path: string): void => {
  if (recognise(path).format !== 'onnx') return
  const model = readModelFile(path)
  refuseExternalData(model)
  checkModel(model)
}
