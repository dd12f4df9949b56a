/** @file What stands before a merge: the models, their headers, the plan, the vocabulary and the configuration of the output. */
import { fail, TreelineError } from '../../base/index.ts'
import { type Checkpoint, openCheckpoint, resolveModel } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { type Headers, type MergePlan, modelsOf, noPlan, planMerge } from '../plan/index.ts'
import { assertNone, attempt, type Problem } from '../problems.ts'
import { differentTokens, readVocabulary, type Vocabulary } from '../vocabulary/index.ts'
import { architectureFindings } from './architectures.ts'
import { checkCompanions, withoutConfig } from './companions.ts'
import { headersAs } from './headers.ts'
import { linesFactors } from './linesSteps.ts'
import type { MergeOptions } from './options.ts'

/** What decides a plan besides the configuration. */
interface PrepareOptions extends Pick<MergeOptions, 'lenient' | 'arithmetic'> {
  /** As in `PlanOptions`. */
  readonly isPartial?: boolean
}

/** The plan of a configuration, from the headers of the models on disk; its `problems` list everything that does not fit. */
export const planFromFiles = (config: MergeConfig, options: PrepareOptions = {}): MergePlan =>
  prepareMerge(config, options).plan

/** Where the file names a model. */
function placeOf(config: MergeConfig, model: string): string | undefined {
  const sources = config.modules.flatMap(({ slices }) => slices.flatMap((slice) => slice.sources))
  if (config.lines?.base === model)
    return sources.find((one) => one.model === model)?.where ?? config.lines.where
  return sources.find((one) => one.model === model)?.where
}

/** Find a model; what is no model is named with its line. */
function findModel(config: MergeConfig, model: string): void {
  try {
    resolveModel(model)
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    const where = placeOf(config, model)
    fail(error.code, where === undefined ? error.message : `${where}: ${error.message}`, error)
  }
}

/** Types that every merge reads. */
const plain = new Set(['F32', 'BF16', 'F16'])

/** Values that cannot be decoded, by model and type. */
function unreadable(plan: MergePlan, opened: ReadonlyMap<string, Checkpoint>): Problem[] {
  const problems: Problem[] = []
  const seen = new Set<string>()
  for (const { dtype, action, base, models } of plan.tensors)
    for (const { model, tensor } of base ? [base, ...models] : models) {
      const stored = opened.get(model)!.tensors.get(tensor)!
      const kind = `${model}\n${stored.dtype}`
      if (plain.has(stored.dtype) || (action === 'copy' && stored.dtype === dtype) || seen.has(kind)) continue
      seen.add(kind)
      attempt(problems, model, () => stored.f32(0, 0), undefined)
    }
  return problems
}

export interface PreparedMerge {
  readonly plan: MergePlan
  readonly vocabulary: Vocabulary | undefined
  /** Bytes of the tensors that the merge reads, each counted once. */
  readonly bytesRead: number
}

/** Bytes of all inputs of a plan. */
function readBytes({ tensors, lines }: MergePlan, opened: ReadonlyMap<string, Checkpoint>): number {
  const read = new Map<string, number>()
  for (const { base, models } of tensors)
    for (const { model, tensor } of base ? [base, ...models] : models)
      read.set(`${model}\n${tensor}`, opened.get(model)!.tensors.get(tensor)!.byteLength)
  const from = lines && opened.get(lines.base)!.tensors
  if (from)
    for (const { name, action } of tensors)
      if (action === 'merge' && from.has(name)) read.set(`${lines.base}\n${name}`, from.get(name)!.byteLength)
  return [...read.values()].reduce((sum, size) => sum + size, 0)
}

function prepareFrom(
  config: MergeConfig,
  opened: ReadonlyMap<string, Checkpoint>,
  { lenient = false, ...options }: PrepareOptions,
): PreparedMerge {
  const problems: Problem[] = []
  const check = <Value>(where: string, read: () => Value): Value | undefined =>
    attempt(problems, where, read, undefined)
  const heads = new Map<string, Headers>()
  for (const [model, { tensors }] of opened) heads.set(model, headersAs(tensors, [...heads.values()][0]))
  const { tokenizer, lines } = config
  const first = config.baseModel ?? config.models[0]!
  const found = check(first, () => architectureFindings(config)) ?? { problems: [], warnings: [] }
  if (!lenient)
    for (const problem of found.problems)
      problems.push({ ...problem, message: `${problem.message} (--lenient lets it pass)` })
  const vocabulary = tokenizer && check(tokenizer.where, () => readVocabulary(config, modelsOf(config)))
  const plan = planMerge(config, heads, { lenient, ...options, ...(vocabulary ? { vocabulary } : {}) })
  problems.push(...plan.problems, ...unreadable(plan, opened))
  // a model whose layers cannot be told is refused here, whatever α will be
  if (plan.lines) check(lines!.where, () => linesFactors(plan, 0))
  if (lines?.alpha === 'auto' && config.models.every((model) => model === lines.base))
    problems.push({
      where: lines.where,
      message:
        'lines.alpha: auto is measured on models besides the base of lines, and there is none; give a number',
      code: 'TL_BAD_CONFIG',
    })
  check(first, () => checkCompanions(config, plan, vocabulary))
  const warnings = [
    ...plan.warnings,
    ...(lenient ? found.problems.map(({ message }) => message) : []),
    ...found.warnings,
    ...(tokenizer ? [] : differentTokens(config)),
    ...(check(first, () => withoutConfig(config, heads.get(first)!.has('token_embd.weight'))) ?? []),
  ]
  return { plan: { ...plan, problems, warnings }, vocabulary, bytesRead: readBytes(plan, opened) }
}

/**
 * The plan, and the vocabulary of the output when the configuration asks for one. Everything that can be known before work
 * is in the plan's `problems`: this is the one pass of `--check`, of `--dry-run` and of the merge itself.
 */
export function prepareMerge(config: MergeConfig, options: PrepareOptions): PreparedMerge {
  const problems: Problem[] = []
  const opened = new Map<string, Checkpoint>()
  try {
    for (const model of modelsOf(config))
      attempt(
        problems,
        model,
        () => {
          findModel(config, model)
          opened.set(model, openCheckpoint(model))
        },
        undefined,
      )
    if (problems.length > 0) return { plan: noPlan(config, problems), vocabulary: undefined, bytesRead: 0 }
    return prepareFrom(config, opened, options)
  } finally {
    for (const checkpoint of opened.values()) checkpoint.close()
  }
}

/** Throw the plan's problems as one error: the first in full, and how many others there are. */
export const assertPlan = ({ problems }: MergePlan): void => assertNone(problems)
