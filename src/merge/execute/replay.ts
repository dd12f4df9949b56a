/** @file A merge once more, from its manifest: the same bytes, or one sentence that says what has changed. */

import { parseMergeConfig } from '../config/index.ts'
import { openMergeWorkers } from '../workers.ts'
import { executeMerge, type MergeOutcome } from './execute.ts'
import { hashInputs, readManifest, requireInputs } from './manifest.ts'
import type { MergeOptions } from './options.ts'
import { assertPlan, prepareMerge } from './prepare.ts'

/**
 * Make the model of a manifest in the folder `out`. Inputs are hashed before any work, the output before it gets its name.
 * Throws as `executeMerge`, TL_BAD_FILE for what is no manifest, and TL_CHECKSUM naming the input that has changed.
 */
export async function replayMerge(
  path: string,
  out: string,
  options: Omit<MergeOptions, 'seed' | 'lenient' | 'shardSize' | 'arithmetic' | 'manifest'> = {},
): Promise<MergeOutcome> {
  const manifest = readManifest(path)
  const { recipe, settings } = manifest
  const config = parseMergeConfig(recipe.text, recipe.path, settings)
  const { plan } = prepareMerge(config, settings)
  assertPlan(plan)
  const workers = options.workers ?? openMergeWorkers(options.threads)
  try {
    requireInputs(manifest, await hashInputs(workers, config, plan, options.signal))
    return await executeMerge(config, out, { ...options, ...settings, workers, replay: manifest })
  } finally {
    if (workers !== options.workers) await workers.close()
  }
}
