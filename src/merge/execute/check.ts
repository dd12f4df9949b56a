/** @file Everything that can be known of a merge before work, for people who want to know it before the work. */
import { checkOutputFolder } from '../../base/outputFolder.ts'
import { readMergeConfig } from '../config/index.ts'
import { attempt, type Problem } from '../problems.ts'
import { refuseFileName, shardBytes, workOf } from './execute.ts'
import type { MergeOptions } from './options.ts'
import { prepareMerge } from './prepare.ts'

/** What is known of a merge from its configuration and the headers of its models. */
export interface MergeCheck {
  readonly problems: readonly Problem[]
  readonly warnings: readonly string[]
  /** Tensors of the output. */
  readonly tensors: number
  /** Bytes of the output's tensors. */
  readonly bytes: number
}

/**
 * Check a configuration, and with `out` the folder of the output, by the pass that the merge itself begins with. All mistakes
 * are listed, none is thrown; nothing is written.
 */
export function checkMerge(
  recipe: { readonly text: string; readonly path: string },
  options: MergeOptions = {},
  out?: string,
): MergeCheck {
  const { config, problems: written } = readMergeConfig(recipe.text, recipe.path, options)
  if (!config) return { problems: written, warnings: [], tensors: 0, bytes: 0 }
  const prepared = prepareMerge(config, { ...options, isPartial: written.length > 0 })
  const { plan } = prepared
  const problems: Problem[] = [...written, ...plan.problems]
  if (out !== undefined) attempt(problems, out, () => refuseFileName(out), undefined)
  // a plan without tensors has problems of its own
  if (plan.tensors.length > 0)
    attempt(
      problems,
      out ?? config.path,
      () => {
        const { work, shards } = workOf(config, prepared, options)
        if (out !== undefined) checkOutputFolder(out, work, shardBytes(shards))
      },
      undefined,
    )
  return { problems, warnings: plan.warnings, tensors: plan.tensors.length, bytes: plan.outputBytes }
}
