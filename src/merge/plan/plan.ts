/** @file Makes the plan of a merge from headers alone; everything that does not fit is found here, before any work. */
import type { MergeConfig, Settings } from '../config/index.ts'
import { attempt } from '../problems.ts'
import type { Vocabulary } from '../vocabulary/index.ts'
import { type ByMessage, checkTensor, mistakesOf, noteMistake } from './checks.ts'
import { conclude, type Findings, misfit, noteShapes } from './findings.ts'
import { groups, type Wanted } from './groups.ts'
import { type Aligned, alignTables, type Found, findInputs, sameShape, shapesAgree } from './inputs.ts'
import {
  isSkipped,
  refuseTable,
  skippedOfBase,
  skippedTensor,
  unusedSkips,
  withoutSkipped,
} from './skipped.ts'
import { type Headers, isVocabulary, layoutOf, tiedTo } from './stacks.ts'
import { bytesOf, decide, plannedTensor } from './tensor.ts'
import type { MergePlan, PlannedTensor } from './types.ts'

/** Options of the planner. */
export interface PlanOptions {
  /** Tensors that some models lack are handled as the method does it, with a warning, instead of being a problem. */
  readonly lenient?: boolean
  /** The output's vocabulary, when the configuration asks for one. */
  readonly vocabulary?: Vocabulary
  /** As in `MergeOptions`. */
  readonly arithmetic?: 'float32' | 'dtype'
  /** Parts of the configuration could not be read: what it says of parameters is not the whole of it. */
  readonly isPartial?: boolean
}

/** Filters that occur in no tensor's name: probably meant for another architecture. */
function unusedFilters(config: MergeConfig, names: readonly string[]): string[] {
  const places: Settings[] = [
    config.parameters,
    ...config.modules.flatMap((module) => [
      module.parameters,
      ...module.slices.flatMap((slice) => [
        slice.parameters,
        ...slice.sources.map((source) => source.parameters),
      ]),
    ]),
  ]
  const warnings: string[] = []
  for (const settings of places)
    for (const [parameter, setting] of settings) {
      if (setting.kind !== 'filters') continue
      for (const { filter, where } of setting.entries)
        if (filter !== undefined && !names.some((name) => name.includes(filter)))
          warnings.push(`${where}: ${parameter}: the filter "${filter}" occurs in no tensor's name`)
    }
  return warnings
}

/** Problems of the base that LiNeS measures from. */
function checkLines(
  config: MergeConfig,
  tensors: readonly PlannedTensor[],
  heads: ReadonlyMap<string, Headers>,
  findings: Findings,
): void {
  if (!config.lines) return
  const headers = heads.get(config.lines.base)!
  const lacking: string[] = []
  for (const { name, shape, action, linesView } of tensors) {
    if (action === 'copy' || linesView) continue
    const tensor = headers.has(name) ? name : tiedTo(name, headers)
    if (tensor === undefined) lacking.push(name)
    else if (!sameShape(headers.get(tensor)!.shape, shape))
      noteShapes(
        findings,
        name,
        [`the base of lines, ${config.lines.base},`, headers.get(tensor)!.shape],
        ['the merge', shape],
        'LiNeS needs equal shapes',
      )
  }
  if (lacking.length > 0)
    findings.problems.push(
      misfit(
        config.lines.base,
        `the base of lines, ${config.lines.base}, lacks ${lacking.length} of ${tensors.length} tensors, ${lacking[0]} first: nothing to measure their change from`,
      ),
    )
}

/** A method that looks at the whole model first must find the same models in every tensor. */
function checkStatistics(
  { method }: MergeConfig,
  tensors: readonly PlannedTensor[],
  { problems }: Findings,
): void {
  if (!method.prepare) return
  const merged = tensors.filter(({ action }) => action === 'merge')
  const listOf = (tensor: PlannedTensor): string => tensor.models.map(({ model }) => model).join(', ')
  const most = merged.toSorted((a, b) => b.models.length - a.models.length)[0]
  const odd = most && merged.filter((tensor) => listOf(tensor) !== listOf(most))
  if (!odd || odd.length === 0) return
  const { name } = odd[0]!
  problems.push(
    misfit(
      name,
      `${method.name} measures whole models first, so each tensor must be of the same ones: ${name} is of ${listOf(odd[0]!) || 'none'}, others of ${listOf(most)}${odd.length > 1 ? ` (and so for ${odd.length - 1} more)` : ''}`,
    ),
  )
}

/** The models whose headers a plan needs. */
export const modelsOf = ({ models, lines }: MergeConfig): string[] => [
  ...new Set([...models, ...(lines ? [lines.base] : [])]),
]

/** What a merge whose planning cannot go on would be: nothing. */
export const noPlan = ({ method, warnings }: MergeConfig, problems: MergePlan['problems']): MergePlan => ({
  method: method.name,
  tensors: [],
  problems,
  warnings,
  outputBytes: 0,
})

/**
 * Plan a merge. `heads` holds the headers of every model of `modelsOf(config)`. All that does not fit is listed in `problems`.
 */
export function planMerge(
  config: MergeConfig,
  heads: ReadonlyMap<string, Headers>,
  { lenient = false, vocabulary, arithmetic = 'float32', isPartial = false }: PlanOptions = {},
): MergePlan {
  const findings: Findings = {
    problems: [],
    warnings: [],
    missing: new Map(),
    vocabulary: new Map(),
    shapes: new Map(),
  }
  const merged = withoutSkipped(config, heads)
  const layouts = new Map([...merged].map(([model, headers]) => [model, layoutOf(headers)]))
  const grouped = attempt(findings.problems, config.path, () => groups(config, layouts), undefined)
  if (!grouped) return noPlan(config, findings.problems)
  const { layers } = grouped
  const wanted = [...grouped.wanted, ...skippedOfBase(config, heads)]
  const tensors: PlannedTensor[] = []
  const mistakes: ByMessage = new Map()
  const align = (one: Wanted, found: readonly Found[]): Aligned | undefined => {
    if (vocabulary && isVocabulary(one.name))
      return alignTables(one, found, vocabulary, config, heads, findings)
    return shapesAgree(one, found, findings) ? { found, shape: found[0]!.header.shape } : undefined
  }
  for (const one of wanted) {
    if (isSkipped(config, one.name)) {
      if (vocabulary && isVocabulary(one.name)) noteMistake(mistakes, one.name, () => refuseTable(one.name))
      tensors.push(...skippedTensor(one, config, heads))
      continue
    }
    const found = findInputs(one, heads, findings)
    if (!found || found.length === 0) continue
    const aligned = align(one, found)
    if (!aligned) continue
    const decision = decide(config.method, found, one)
    if (decision === 'skip') continue
    const planned = noteMistake(mistakes, one.name, () => plannedTensor(one, aligned, config, decision))
    if (!planned) continue
    const dtypes = found.map(({ header }) => header.dtype)
    noteMistake(mistakes, one.name, () => checkTensor(planned, dtypes, config, arithmetic))
    tensors.push(planned)
  }
  if (wanted.length === 0)
    findings.problems.push({
      where: config.path,
      message: 'the models have no tensors, so there is nothing to merge',
      code: 'TL_BAD_CONFIG',
    })
  checkLines(config, tensors, heads, findings)
  checkStatistics(config, tensors, findings)
  // where a vocabulary was asked for and could not be made, that is said already
  if (config.tokenizer) findings.vocabulary.clear()
  conclude(findings, lenient)
  if (!isPartial) findings.problems.push(...mistakesOf(mistakes))
  if (config.dtype === 'F64' || tensors.some(({ dtype, action }) => dtype === 'F64' && action === 'merge'))
    findings.warnings.push(
      'arithmetic is in float32: values written as float64 have the precision of float32',
    )
  const names = [
    ...tensors.map(({ name }) => name),
    ...[...heads.values()].flatMap((headers) => [...headers.keys()]),
  ]
  const { lines } = config
  return {
    method: config.method.name,
    tensors,
    ...(lines ? { lines: { alpha: lines.alpha, beta: lines.beta, base: lines.base } } : {}),
    ...(layers === undefined ? {} : { layers }),
    problems: findings.problems,
    warnings: [
      ...config.warnings,
      ...(vocabulary?.warnings ?? []),
      ...unusedFilters(config, names),
      ...unusedSkips(config, names),
      ...findings.warnings,
    ],
    outputBytes: tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0),
  }
}
