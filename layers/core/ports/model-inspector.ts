import type { DatasetContent } from '../domain/dataset.ts'
import type { Framework, Inspection } from '../domain/model.ts'

/** Reads tenants’ files without trusting them. */
export interface ModelInspector {
  /**
   * What the file holds. Runs apart from the host and within a time limit, so a hostile file stalls nobody.
   * Fails with `invalid_model` saying what is wrong: not a model, truncated, another framework than declared, an unknown
   * operator domain (facts.reason names the kind), or `unavailable` when the inspection itself could not be run.
   */
  inspect(path: string, declared: { framework: Framework; file_name: string }): Promise<Inspection>
  /**
   * What a file of rows holds, by its headers, in the same way apart. Fails with `invalid_request` saying what is wrong with it
   * (facts.reason names the kind).
   */
  describeDataset(path: string): Promise<DatasetContent>
}
