/** @file Makes the plan of a merge from headers alone; everything that does not fit is found here, before any work. */
import { fail } from '../../base/index.ts'
import { type MergeConfig, parametersFor, type Settings } from '../config/index.ts'
import type { MergeMethod } from '../methods/index.ts'
import { type Table, type TableView, type Vocabulary, viewsOf } from '../vocabulary/index.ts'
import { groups, type Wanted } from './groups.ts'
import { type Headers, isVocabulary, layoutOf, storedAt, type TensorHeader, tiedTo } from './stacks.ts'
import type { MergePlan, PlannedInput, PlannedTensor } from './types.ts'

/** Options of the planner. */
export interface PlanOptions {
  /** Tensors that some models lack are handled as the method does it, with a warning, instead of being a problem. */
  readonly lenient?: boolean
  /** The output's vocabulary, when the configuration asks for one. */
  readonly vocabulary?: Vocabulary
}

const isInteger = (dtype: string): boolean => /^(I\d|U\d|BOOL|C64)/.test(dtype)
const widths: Readonly<Record<string, number>> = { F64: 8, F32: 4, BF16: 2, F16: 2, F8_E4M3: 1, F8_E5M2: 1 }
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** The type that holds all of these: the common one, else the f32 that the arithmetic is in. */
function promoted(dtypes: readonly string[]): string {
  const [first] = dtypes
  if (dtypes.every((dtype) => dtype === first) && first! in widths) return first!
  return dtypes.includes('F64') ? 'F64' : 'F32'
}

/** What does not fit, gathered by kind so that one cause gives one line. */
interface Findings {
  readonly problems: string[]
  readonly warnings: string[]
  /** Tensors that a model lacks. */
  readonly missing: Map<string, string[]>
  /** Tensors by the numbers of tokens that the models have. */
  readonly vocabulary: Map<string, string[]>
  /** Tensors of other shapes, with both shapes, by the models that have them. */
  readonly shapes: Map<string, Reshaped>
}

/** Tensors of two models whose shapes differ. */
interface Reshaped {
  readonly a: string
  readonly b: string
  readonly why: string
  readonly tensors: { readonly name: string; readonly a: readonly number[]; readonly b: readonly number[] }[]
}

type Shape = readonly number[]

function noteShapes(
  { shapes }: Findings,
  name: string,
  [a, own]: readonly [string, Shape],
  [b, other]: readonly [string, Shape],
  why: string,
): void {
  const key = `${a}\n${b}\n${why}`
  const known = shapes.get(key) ?? { a, b, why, tensors: [] }
  known.tensors.push({ name, a: own, b: other })
  shapes.set(key, known)
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}

/** Turn what was gathered into lines. */
function conclude({ problems, warnings, missing, vocabulary, shapes }: Findings, lenient: boolean): void {
  for (const { a, b, tensors, why } of shapes.values()) {
    const text = (shape: readonly number[]): string => `[${shape.join(', ')}]`
    const [first] = tensors
    if (tensors.length === 1)
      problems.push(`${first!.name}: ${a} has shape ${text(first!.a)}, ${b} has ${text(first!.b)}; ${why}`)
    else {
      const some = tensors.slice(0, 3).map((one) => `${one.name} ${text(one.a)} and ${text(one.b)}`)
      const more = tensors.length > 3 ? ` and ${tensors.length - 3} more` : ''
      problems.push(
        `${tensors.length} tensors differ in shape between ${a} and ${b}: ${some.join(', ')}${more}; ${why}`,
      )
    }
  }
  for (const [model, tensors] of missing) {
    const some = tensors.slice(0, 3).join(', ')
    const more = tensors.length > 3 ? ` and ${tensors.length - 3} more` : ''
    const count = tensors.length === 1 ? 'a tensor' : `${tensors.length} tensors`
    const line = `${model} lacks ${count} that another model has: ${some}${more}`
    if (lenient) warnings.push(line)
    else problems.push(`${line}; are they of one architecture? (--lenient lets the method decide)`)
  }
  for (const [sizes, tensors] of vocabulary)
    problems.push(
      `the vocabularies differ: ${tensors.join(' and ')} have as many rows as tokens (${sizes}); write in the configuration \`tokenizer_source: union\` (the tokens of all models), \`tokenizer_source: base\` or a model's path`,
    )
}

interface Found {
  readonly model: string
  readonly tensor: string
  readonly written: string
  readonly own: Settings
  readonly header: TensorHeader
  readonly view?: TableView
}

/** The inputs that exist; a tied head is found in the embedding. */
function findInputs(
  wanted: Wanted,
  heads: ReadonlyMap<string, Headers>,
  findings: Findings,
): Found[] | undefined {
  const isAnyStored = wanted.inputs.some(({ source, tensor }) => heads.get(source.model)!.has(tensor))
  if (!isAnyStored) return undefined
  const found: Found[] = []
  for (const { source, tensor } of wanted.inputs) {
    const headers = heads.get(source.model)!
    const stored = headers.has(tensor) ? tensor : tiedTo(tensor, headers)
    if (stored === undefined) append(findings.missing, source.model, tensor)
    else
      found.push({
        model: source.model,
        tensor: headers.get(stored)!.name ?? stored,
        written: tensor,
        own: source.parameters,
        header: headers.get(stored)!,
      })
  }
  return found
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i])

/** Are all shapes equal? Says so when not. */
function shapesAgree(wanted: Wanted, found: readonly Found[], findings: Findings): boolean {
  const { shape } = found[0]!.header
  const odd = found.find(({ header }) => !sameShape(header.shape, shape))
  if (!odd) return true
  const rest = (one: Found): readonly number[] => one.header.shape.slice(1)
  if (isVocabulary(wanted.name) && found.every((one) => sameShape(rest(one), shape.slice(1))))
    append(
      findings.vocabulary,
      found.map(({ model, header }) => `${model} ${header.shape[0]}`).join(', '),
      wanted.name,
    )
  else
    noteShapes(
      findings,
      wanted.name,
      [found[0]!.model, shape],
      [odd.model, odd.header.shape],
      'only equal shapes can be merged',
    )
  return false
}

/** A tensor's inputs as the output has them. */
interface Aligned {
  readonly found: readonly Found[]
  readonly shape: readonly number[]
  readonly linesView?: TableView
}

/** Bring tables of tokens to the output's vocabulary. */
function alignTables(
  wanted: Wanted,
  found: readonly Found[],
  vocabulary: Vocabulary,
  config: MergeConfig,
  heads: ReadonlyMap<string, Headers>,
  findings: Findings,
): Aligned | undefined {
  const rest = (shape: readonly number[]): readonly number[] => shape.slice(1)
  const { shape } = found[0]!.header
  const odd = found.find(
    (one) => !sameShape(rest(one.header.shape), rest(shape)) || one.header.shape.length === 0,
  )
  if (odd) {
    noteShapes(
      findings,
      wanted.name,
      [found[0]!.model, shape],
      [odd.model, odd.header.shape],
      'tokens can be moved, but each must have equally many values',
    )
    return undefined
  }
  const table = ({ model, tensor, header }: Pick<Found, 'model' | 'tensor' | 'header'>): Table => ({
    model,
    tensor,
    rows: header.shape[0]!,
  })
  const { of, problems, warnings } = viewsOf(
    vocabulary,
    config.tokenizer!.tokens,
    found.map(table),
    wanted.base,
  )
  // the head says the same as the embedding
  for (const line of problems) if (!findings.problems.includes(line)) findings.problems.push(line)
  for (const line of warnings) if (!findings.warnings.includes(line)) findings.warnings.push(line)
  const viewed = (one: Found): Found => {
    const view = of(table(one))
    return view ? { ...one, view } : one
  }
  const headers = config.lines && heads.get(config.lines.base)!
  const tensor = headers && (headers.has(wanted.name) ? wanted.name : tiedTo(wanted.name, headers))
  const header = tensor === undefined ? undefined : headers?.get(tensor)
  const linesView =
    tensor !== undefined && header && sameShape(rest(header.shape), rest(shape))
      ? of(table({ model: config.lines!.base, tensor: header.name ?? tensor, header }))
      : undefined
  return {
    found: found.map(viewed),
    shape: [vocabulary.rows, ...rest(shape)],
    ...(linesView ? { linesView } : {}),
  }
}

type Decision = 'merge' | 'copy' | 'skip'

/** What the method does with a tensor that some inputs lack. */
function decide(method: MergeMethod, found: readonly Found[], wanted: Wanted): Decision {
  if (found.length === wanted.inputs.length) return 'merge'
  const base = found.length === 1 && found[0]!.model === wanted.base
  if (found.length === 1 && method.missing === 'pass-single') return 'copy'
  if (base && (method.missing === 'pass-base' || method.missing === 'base-or-skip')) return 'copy'
  const others = found.filter(({ model }) => method.needsBase === false || model !== wanted.base).length
  const enough = others >= method.minModels && (method.needsBase !== true || others < found.length)
  if (enough) return 'merge'
  return method.missing === 'base-or-skip' ? 'skip' : 'copy'
}

function plannedTensor(
  wanted: Wanted,
  { found, shape, linesView }: Aligned,
  config: MergeConfig,
  action: 'merge' | 'copy',
): PlannedTensor {
  const { method } = config
  const integers = found.some(({ header }) => isInteger(header.dtype))
  const isBase = (one: Found): boolean => method.needsBase !== false && one.model === wanted.base
  const input = (one: Found): PlannedInput => ({
    model: one.model,
    tensor: one.tensor,
    ...storedAt(one.header),
    ...(one.view ? { view: one.view } : {}),
    parameters:
      isBase(one) || action === 'copy'
        ? {}
        : parametersFor(method.parameters.perModel, [one.own, ...wanted.settings], {
            tensor: one.written,
            depth: wanted.t,
            of: one.model,
          }),
  })
  const copied = integers || action === 'copy'
  const parameters = copied
    ? {}
    : parametersFor(method.parameters.global, wanted.settings, {
        tensor: wanted.name,
        depth: wanted.t,
        of: `the ${method.name} merge`,
      })
  const base = copied ? undefined : found.find(isBase)
  const models = found.filter((one) => one !== base).map(input)
  const natural = promoted(found.map(({ header }) => header.dtype))
  return {
    name: wanted.name,
    shape,
    dtype: integers ? found[0]!.header.dtype : (config.dtype ?? natural),
    compute: config.computeDtype ?? natural,
    action: copied ? 'copy' : 'merge',
    ...(base ? { base: input(base) } : {}),
    models,
    parameters,
    reach: copied
      ? 'tensor'
      : method.reach(
          parameters,
          models.map((one) => one.parameters),
        ),
    ...(wanted.depth ? { depth: wanted.depth } : {}),
    ...(linesView ? { linesView } : {}),
  }
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

const bytesOf = ({ shape, dtype }: PlannedTensor): number =>
  sizeOf(shape) * (widths[dtype] ?? (Number(/\d+/.exec(dtype)?.[0] ?? 8) || 8) / 8)

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
