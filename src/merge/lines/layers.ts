/** @file The depth of a tensor, from its name: which stack of blocks, which block, of how many. */
import { fail } from '../../base/index.ts'
import { type Segment, type StackPattern, stackPatterns, wrapperPrefix } from './stacks.ts'

/** A stack of blocks that a model has. */
export interface Stack {
  readonly name: string
  readonly family: string
  /** Number of blocks, L. */
  readonly count: number
  /** The block 1 … L of a tensor, or null when it is not of this stack. */
  readonly locate: (name: string) => number | null
}

export type Layers = readonly Stack[]

/** Where a tensor is: block `layer` (1 … count) of a stack. */
export interface Place {
  readonly layer: number
  readonly count: number
  readonly stack: string
}

export interface LayerOptions {
  /** Regular expressions, one for each stack, with one group: the block's number, counted from 0. Default: by family. */
  readonly patterns?: readonly string[]
  /** Count all stacks as one, in order (T5: the decoder goes on where the encoder ends). Default false. */
  readonly joined?: boolean
}

const unwrapped = (name: string): string => name.replace(wrapperPrefix, '')

/** How many blocks a segment has in a model with these names. */
function lengthOf({ pattern, from = 0 }: Segment, names: readonly string[]): number {
  let length = 0
  for (const name of names) {
    const match = pattern.exec(name)
    if (match) length = Math.max(length, match[1] === undefined ? 1 : Number(match[1]) - from + 1)
  }
  return length
}

function stackOf({ family, stack, segments }: StackPattern, names: readonly string[]): Stack {
  const lengths = segments.map((segment) => lengthOf(segment, names))
  const count = lengths.reduce((total, n) => total + n, 0)
  const locate = (name: string): number | null => {
    let before = 0
    for (const [i, { pattern, from = 0, descending }] of segments.entries()) {
      const match = pattern.exec(unwrapped(name))
      const length = lengths[i]!
      if (match) {
        const index = match[1] === undefined ? 0 : Number(match[1]) - from
        return before + (descending ? length - index : index + 1)
      }
      before += length
    }
    return null
  }
  return { name: stack, family, count, locate }
}

/** All stacks as one: blocks of the second follow those of the first. */
function join(stacks: Layers): Stack {
  const locate = (name: string): number | null => {
    let before = 0
    for (const stack of stacks) {
      const layer = stack.locate(name)
      if (layer !== null) return before + layer
      before += stack.count
    }
    return null
  }
  const count = stacks.reduce((total, stack) => total + stack.count, 0)
  return { name: stacks.map(({ name }) => name).join('+'), family: stacks[0]!.family, count, locate }
}

/** The row of a pattern that a user wrote. */
function customPattern(text: string, index: number): StackPattern {
  let pattern: RegExp
  try {
    pattern = new RegExp(text)
  } catch (cause) {
    return fail('TL_BAD_ARGUMENT', `patterns: ${JSON.stringify(text)} is not a regular expression`, cause)
  }
  const groups = new RegExp(`${text}|`).exec('')!.length - 1
  if (groups !== 1)
    fail(
      'TL_BAD_ARGUMENT',
      `patterns: ${JSON.stringify(text)}: expected one group for the block's number, got ${groups}; example: ^model\\.layers\\.(\\d+)\\.`,
    )
  return { family: 'given', stack: `stack ${index + 1}`, segments: [{ pattern }] }
}

/**
 * The stacks of blocks of a model with these tensor names. Errors: TL_BAD_ARGUMENT when none is found, or for a bad pattern.
 */
export function findLayers(names: Iterable<string>, { patterns, joined = false }: LayerOptions = {}): Layers {
  const plain = [...names].map(unwrapped)
  const stacks = (patterns?.map(customPattern) ?? stackPatterns)
    .map((pattern) => stackOf(pattern, plain))
    .filter(({ count }) => count > 0)
  if (!stacks.length || stacks.some(({ count }) => !Number.isSafeInteger(count)))
    fail(
      'TL_BAD_ARGUMENT',
      `cannot tell the layers of this model (its first tensor is ${plain[0] ?? 'missing'}); give patterns like ^model\\.layers\\.(\\d+)\\.`,
    )
  return joined ? [join(stacks)] : stacks
}

/** The place of a tensor in the stacks that `findLayers` found; null outside the blocks. */
export function layerOf(name: string, layers: Layers): Place | null {
  for (const { name: stack, count, locate } of layers) {
    const layer = locate(name)
    if (layer !== null) return { layer, count, stack }
  }
  return null
}
