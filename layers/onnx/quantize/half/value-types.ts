import { computedValues, openSession, withOutputs } from '../../calibrate/tap.ts'
import type { ModelProto } from '../../codec/schema.ts'
import { encodeModel } from '../../codec/write-model.ts'
import { OnnxFault } from '../../fault.ts'

/**
 * Element type of every value of the outermost graph by name, as onnxruntime names them (`float32`), inputs included. onnxruntime's own
 * inference tells, when it loads the model with every value as an output; nothing is run. Values that are no tensors are left out.
 * @throws OnnxFault unsupported when onnxruntime does not load the model
 */
export async function inferredTypes(model: ModelProto): Promise<Map<string, string>> {
  try {
    const session = await openSession(encodeModel(withOutputs(model, computedValues(model))))
    const types = new Map<string, string>()
    for (const port of [...session.inputMetadata, ...session.outputMetadata]) if (port.isTensor) types.set(port.name, port.type)
    await session.release()
    return types
  } catch (error) {
    throw new OnnxFault(
      'unsupported',
      `onnxruntime does not load the model: ${error instanceof Error ? error.message : String(error)}`,
      error,
    )
  }
}
