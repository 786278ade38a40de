import { PlatformError } from '../core/contract/errors.ts'
import { pipelines } from '../core/contract/pipelines.ts'
import type { JsonObject } from '../core/domain/json.ts'

/** What Step Functions takes as an execution's input, 256 KiB of UTF-8; the same everywhere, so that nothing works on one machine only. */
const most_input_bytes = 262_144
/** Step Functions takes more characters than these, but no longer names. */
const execution_id_form = /^[A-Za-z0-9_-]{1,80}$/

/** The input as JSON text. Fails with `internal` for an unknown pipeline, `invalid_request` for an id or an input that is not possible. */
export const checkedStart = (
  pipeline: string,
  execution_id: string,
  input: JsonObject,
  known: readonly string[] = Object.keys(pipelines),
): string => {
  if (!known.includes(pipeline))
    throw new PlatformError('internal', `Pipeline ${pipeline} is unknown; known are ${known.join(', ')}`)
  if (!execution_id_form.test(execution_id))
    throw new PlatformError(
      'invalid_request',
      `An execution id wants 1–80 of A-Z a-z 0-9 _ -; got ${JSON.stringify(execution_id.slice(0, 100))}`,
    )
  const text = JSON.stringify(input)
  const size_bytes = Buffer.byteLength(text)
  if (size_bytes > most_input_bytes)
    throw new PlatformError(
      'invalid_request',
      `The input of a pipeline may have ${most_input_bytes} bytes as JSON; got ${size_bytes}. Put large things into artifacts and pass their keys`,
    )
  return text
}
