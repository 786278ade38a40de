/** What starts child processes, as an entry beside the functions' bundles: bundled with them, it shares their chunks and their children. */
import type { Artifacts } from '../../layers/core/ports/artifacts.ts'
import type { Workbench } from '../../layers/core/ports/workbench.ts'
import { optimizers } from '../../layers/optimizers/index.ts'
import { localWorkbench } from '../../layers/optimizers/workbench.ts'

export { onnxInspector } from '../../layers/inspector/onnx.ts'
export { writeServingForm } from '../../layers/onnx/serving-form.ts'

export const workbench = (artifacts: Pick<Artifacts, 'asFile' | 'put'>, scratch_dir: string): Workbench =>
  localWorkbench({ artifacts, optimizers, scratch_dir })
