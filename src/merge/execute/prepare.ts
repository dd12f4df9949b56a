/** @file What stands before a merge: the models, their headers, the plan and the vocabulary of the output. */
import { fail, TreelineError } from '../../base/index.ts'
import { type Checkpoint, openCheckpoint, resolveModel } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { type Headers, type MergePlan, modelsOf, planMerge } from '../plan/index.ts'
import { differentTokens, readVocabulary, type Vocabulary } from '../vocabulary/index.ts'
import { architectureFindings } from './architectures.ts'
import { withoutConfig } from './companions.ts'
import { headersAs } from './headers.ts'
import { linesFactors } from './linesSteps.ts'

/** The plan of a configuration, from the headers of the models on disk. Throws as `openCheckpoint` and `planMerge` do. */
export const planFromFiles = (config: MergeConfig, options: { lenient?: boolean } = {}): MergePlan =>
  prepareMerge(config, options).plan

/** Where the file names a model. */
function placeOf(config: MergeConfig, model: string): string | undefined {
  const sources = config.modules.flatMap(({ slices }) => slices.flatMap((slice) => slice.sources))
  if (config.lines?.base === model)
    return sources.find((one) => one.model === model)?.where ?? config.lines.where
  return sources.find((one) => one.model === model)?.where
}

/** Find every model before any is opened; what is no model is named with its line. */
export function findModels(config: MergeConfig): void {
  for (const model of modelsOf(config))
    try {
      resolveModel(model)
    } catch (error) {
      if (!(error instanceof TreelineError)) throw error
      const where = placeOf(config, model)
      fail(error.code, where === undefined ? error.message : `${where}: ${error.message}`, error)
    }
}

/** The plan, and the vocabulary of the output when the configuration asks for one. */
export function prepareMerge(
  config: MergeConfig,
  { lenient = false }: { lenient?: boolean },
): { plan: MergePlan; vocabulary: Vocabulary | undefined } {
  findModels(config)
  const opened: Checkpoint[] = []
  try {
    const heads = new Map<string, Headers>()
    for (const model of modelsOf(config)) {
      const checkpoint = openCheckpoint(model)
      opened.push(checkpoint)
      heads.set(model, headersAs(checkpoint.tensors, [...heads.values()][0]))
    }
    const vocabulary = config.tokenizer && readVocabulary(config, modelsOf(config))
    const plan = planMerge(config, heads, { lenient, ...(vocabulary ? { vocabulary } : {}) })
    // a model whose layers cannot be told is refused here, whatever α will be
    if (plan.lines) linesFactors(plan, 0)
    const found = architectureFindings(config)
    const problems = [...(lenient ? [] : found.problems.map((line) => `${line} (--lenient lets it pass)`))]
    const warnings = [
      ...plan.warnings,
      ...(lenient ? found.problems : []),
      ...found.warnings,
      ...(vocabulary ? [] : differentTokens(config)),
      ...withoutConfig(config, heads.get(config.baseModel ?? config.models[0]!)!.has('token_embd.weight')),
    ]
    return { plan: { ...plan, problems: [...problems, ...plan.problems], warnings }, vocabulary }
  } finally {
    for (const checkpoint of opened) checkpoint.close()
  }
}

/** Throw the plan's problems as one error: the first in full, and how many others there are. */
export function assertPlan({ problems }: MergePlan): void {
  const [first, ...others] = problems
  if (first === undefined) return
  const more = others.length > 0 ? ` (and ${others.length} more; --dry-run lists them)` : ''
  fail('TL_SHAPE_MISMATCH', `${first}${more}`)
}
