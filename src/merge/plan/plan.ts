/** @file Makes the plan of a merge from headers alone; everything that does not fit is found here, before any work. */
import { fail } from '../../base/index.ts'
import type { MergeConfig, Settings } from '../config/index.ts'
import type { Vocabulary } from '../vocabulary/index.ts'
import { conclude, type Findings, noteShapes } from './findings.ts'
import { groups, type Wanted } from './groups.ts'
import { type Aligned, alignTables, type Found, findInputs, sameShape, shapesAgree } from './inputs.ts'
import { type Headers, isVocabulary, layoutOf, tiedTo } from './stacks.ts'
import { bytesOf, decide, plannedTensor } from './tensor.ts'
import type { MergePlan, PlannedTensor } from './types.ts'

/** Options of the planner. */
export interface PlanOptions {
  /** Tensors that some models lack are handled as the method does it, with a warning, instead of being a problem. */
  readonly lenient?: boolean
  /** The output's vocabulary, when the configuration asks for one. */
  readonly vocabulary?: Vocabulary
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
      `the base of lines, ${config.lines.base}, lacks ${lacking.length} of ${tensors.length} tensors, ${lacking[0]} first: nothing to measure their change from`,
    )
}

/** The models whose headers a plan needs. */
export const modelsOf = ({ models, lines }: MergeConfig): string[] => [
  ...new Set([...models, ...(lines ? [lines.base] : [])]),
]

/**
 * Plan a merge. `heads` holds the headers of every model of `modelsOf(config)`. What does not fit is listed in `problems`;
 * throws TL_BAD_CONFIG or TL_SHAPE_MISMATCH where the file asks for layers or parameters that are not there.
 */
export function planMerge(
  config: MergeConfig,
  heads: ReadonlyMap<string, Headers>,
  { lenient = false, vocabulary }: PlanOptions = {},
): MergePlan {
  const findings: Findings = {
    problems: [],
    warnings: [],
    missing: new Map(),
    vocabulary: new Map(),
    shapes: new Map(),
  }
  const layouts = new Map([...heads].map(([model, headers]) => [model, layoutOf(headers)]))
  const { wanted, layers } = groups(config, layouts)
  const tensors: PlannedTensor[] = []
  const align = (one: Wanted, found: readonly Found[]): Aligned | undefined => {
    if (vocabulary && isVocabulary(one.name))
      return alignTables(one, found, vocabulary, config, heads, findings)
    return shapesAgree(one, found, findings) ? { found, shape: found[0]!.header.shape } : undefined
  }
  for (const one of wanted) {
    const found = findInputs(one, heads, findings)
    if (!found || found.length === 0) continue
    const aligned = align(one, found)
    if (!aligned) continue
    const decision = decide(config.method, found, one)
    if (decision !== 'skip') tensors.push(plannedTensor(one, aligned, config, decision))
  }
  if (wanted.length === 0)
    fail('TL_BAD_CONFIG', `${config.path}: the models have no tensors, so there is nothing to merge`)
  checkLines(config, tensors, heads, findings)
  conclude(findings, lenient)
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
      ...findings.warnings,
    ],
    outputBytes: tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0),
  }
}
