/** @file The trained network of a finished run, as an ONNX file. */

import { fail } from '../base/index.ts'
import { checkFile, formatOf, writeOutput } from '../base/outputs.ts'
import type { AnyExperiment } from './experiment.ts'
import { experimentOf } from './known.ts'
import type { FinishedRun } from './runFolder.ts'

/** What was written. */
export interface ExportedRun {
  file: string
  bytes: number
  /** Inputs and outputs in words. */
  about: string
  run: string
}

/**
 * Write the network of a run to `path`, which ends in .onnx. Throws TL_UNSUPPORTED when the experiment trains no network,
 * TL_BAD_FILE when its experiment is unknown, TL_EXISTS for another file of this name (unless `force`).
 */
export async function exportRun(
  run: FinishedRun,
  known: readonly AnyExperiment[],
  path: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<ExportedRun> {
  const rule = { inputs: [run.folder], force }
  formatOf(path, ['.onnx'])
  checkFile(path, rule)
  const experiment = experimentOf(run, known)
  if (!experiment.network)
    fail(
      'TL_UNSUPPORTED',
      `${run.folder}: ${experiment.name} trains no network, so there is nothing to export`,
    )
  const { onnx, about } = await experiment.network(run)
  writeOutput(path, onnx, rule)
  return { file: path, bytes: onnx.byteLength, about, run: run.folder }
}
