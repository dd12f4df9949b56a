/** @file The inputs of a tensor of the output: which models have it, whether their shapes agree, and tables of tokens brought to one vocabulary. */
import type { MergeConfig, Settings } from '../config/index.ts'
import { type Table, type TableView, type Vocabulary, viewsOf } from '../vocabulary/index.ts'
import { append, type Findings, noteShapes, type Shape } from './findings.ts'
import type { Wanted } from './groups.ts'
import { type Headers, isVocabulary, type TensorHeader, tiedTo } from './stacks.ts'

export interface Found {
  readonly model: string
  readonly tensor: string
  readonly written: string
  readonly own: Settings
  readonly header: TensorHeader
  readonly view?: TableView
}

/** The inputs that exist; a tied head is found in the embedding. */
export function findInputs(
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

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i])

const rest = (shape: Shape): Shape => shape.slice(1)

/** Note that an input has another shape than the first. */
const noteOdd = (
  findings: Findings,
  { name }: Wanted,
  [first]: readonly Found[],
  odd: Found,
  why: string,
): void => noteShapes(findings, name, [first!.model, first!.header.shape], [odd.model, odd.header.shape], why)

/** Are all shapes equal? Says so when not. */
export function shapesAgree(wanted: Wanted, found: readonly Found[], findings: Findings): boolean {
  const { shape } = found[0]!.header
  const odd = found.find(({ header }) => !sameShape(header.shape, shape))
  if (!odd) return true
  if (isVocabulary(wanted.name) && found.every(({ header }) => sameShape(rest(header.shape), rest(shape))))
    append(
      findings.vocabulary,
      found.map(({ model, header }) => `${model} ${header.shape[0]}`).join(', '),
      wanted.name,
    )
  else noteOdd(findings, wanted, found, odd, 'only equal shapes can be merged')
  return false
}

/** A tensor's inputs as the output has them. */
export interface Aligned {
  readonly found: readonly Found[]
  readonly shape: readonly number[]
  readonly linesView?: TableView
}

/** Bring tables of tokens to the output's vocabulary. */
export function alignTables(
  wanted: Wanted,
  found: readonly Found[],
  vocabulary: Vocabulary,
  config: MergeConfig,
  heads: ReadonlyMap<string, Headers>,
  findings: Findings,
): Aligned | undefined {
  const { shape } = found[0]!.header
  const odd = found.find(
    (one) => !sameShape(rest(one.header.shape), rest(shape)) || one.header.shape.length === 0,
  )
  if (odd) {
    noteOdd(findings, wanted, found, odd, 'tokens can be moved, but each must have equally many values')
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
  for (const problem of problems)
    if (!findings.problems.some(({ message }) => message === problem.message)) findings.problems.push(problem)
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
