/** @file What does not fit in a merge, gathered by kind and said in lines. */
import type { Problem } from '../problems.ts'

/** What does not fit, gathered by kind so that one cause gives one line. */
export interface Findings {
  readonly problems: Problem[]
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

export type Shape = readonly number[]

export function noteShapes(
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

export function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}

/** A mistake of headers. */
export const misfit = (where: string, message: string): Problem => ({
  where,
  message,
  code: 'TL_SHAPE_MISMATCH',
})

/** Turn what was gathered into lines. */
export function conclude(
  { problems, warnings, missing, vocabulary, shapes }: Findings,
  lenient: boolean,
): void {
  for (const { a, b, tensors, why } of shapes.values()) {
    const text = (shape: readonly number[]): string => `[${shape.join(', ')}]`
    const [first] = tensors
    const { name } = first!
    if (tensors.length === 1) {
      problems.push(
        misfit(name, `${name}: ${a} has shape ${text(first!.a)}, ${b} has ${text(first!.b)}; ${why}`),
      )
      continue
    }
    const some = tensors.slice(0, 3).map((one) => `${one.name} ${text(one.a)} and ${text(one.b)}`)
    const more = tensors.length > 3 ? ` and ${tensors.length - 3} more` : ''
    const differ = `${tensors.length} tensors differ in shape between ${a} and ${b}`
    problems.push(misfit(name, `${differ}: ${some.join(', ')}${more}; ${why}`))
  }
  for (const [model, tensors] of missing) {
    const some = tensors.slice(0, 3).join(', ')
    const more = tensors.length > 3 ? ` and ${tensors.length - 3} more` : ''
    const count = tensors.length === 1 ? 'a tensor' : `${tensors.length} tensors`
    const line = `${model} lacks ${count} that another model has: ${some}${more}`
    if (lenient) warnings.push(line)
    else
      problems.push(
        misfit(model, `${line}; are they of one architecture? (--lenient lets the method decide)`),
      )
  }
  for (const [sizes, tensors] of vocabulary)
    problems.push(
      misfit(
        tensors[0]!,
        `the vocabularies differ: ${tensors.join(' and ')} have as many rows as tokens (${sizes}); write in the configuration \`tokenizer_source: union\` (the tokens of all models), \`tokenizer_source: base\` or a model's path`,
      ),
    )
}
