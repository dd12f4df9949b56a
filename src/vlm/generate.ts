/** @file Continuing a prompt with pictures, the model's own way or under a contrast rule. */
import { fail } from '../base/index.ts'
import {
  argmaxOf,
  type Generated,
  type GenerateOptions,
  generateWith,
  logProbabilityOf,
} from '../lm/index.ts'
import type { ContrastRule } from './contrast.ts'
import { dependency } from './dependency.ts'
import { type Prompt, type PromptOptions, type PromptSource, withoutImages } from './prompt.ts'
import { openStreams, type Streams } from './streams.ts'

export interface GenerateWithImagesOptions
  extends Omit<GenerateOptions, 'ids'>,
    Omit<PromptOptions, 'disturb'> {
  /**
   * How the next token follows from what the model expects with the pictures and without them. Order: the rule, the repetition penalty,
   * the temperature, the cuts (top-k, min-p, top-p).
   */
  readonly contrast?: ContrastRule
  /** The second stream sees these changed pictures, instead of none. (visual contrastive decoding) */
  readonly disturb?: PromptOptions['disturb']
  /** Called with the scores of each next token [vocabulary], before penalties and cuts. */
  readonly onScores?: (scores: Float32Array) => void
  /** Measure how much each token depends on the pictures. */
  readonly measuresDependency?: boolean
}

export interface GeneratedWithImages extends Generated {
  readonly promptIds: readonly number[]
  /** Hellinger distance of the next token's distributions with the pictures and without, at each token of `ids`. */
  readonly dependencies?: readonly number[]
  /** Tokens run through each stream, and runs of both at once. */
  readonly counts: Streams['counts']
}

/**
 * Scores of the next token, on the scale of the model's own logits: where a rule changes nothing they are these, bit for bit, so that
 * penalties mean the same throughout.
 */
function contrasted(
  rule: ContrastRule,
  conditioned: Float32Array,
  unconditioned: Float32Array,
  t: number,
): Float32Array {
  const scores = rule(conditioned, unconditioned, t)
  if (!rule.normalizes) return Float32Array.from(scores)
  const top = argmaxOf(conditioned)
  const norm = conditioned[top]! - logProbabilityOf(conditioned, top)
  return Float32Array.from(scores, (score) => score + norm)
}

/** Continue a prompt. Throws `TL_BAD_ARGUMENT`, `TL_NOT_FINITE`. */
export async function generateWithImages(
  source: PromptSource,
  prompt: (options: PromptOptions) => Promise<Prompt>,
  options: GenerateWithImagesOptions,
): Promise<GeneratedWithImages> {
  const { contrast, measuresDependency = false, disturb, onScores, images = [], ...rest } = options
  const { question, messages, raw, onTile, ...how } = rest
  const asked: PromptOptions = {
    images,
    ...(question !== undefined && { question }),
    ...(messages !== undefined && { messages }),
    ...(raw !== undefined && { raw }),
    ...(onTile && { onTile }),
  }
  if (disturb && measuresDependency)
    fail('TL_BAD_ARGUMENT', 'generate: a dependency is measured without pictures, not with disturbed ones')
  const conditioned = await prompt(asked)
  // without pictures both streams are one
  const isDouble = images.length > 0 && (contrast !== undefined || measuresDependency)
  const second = isDouble
    ? await prompt(disturb ? { ...asked, disturb } : withoutImages(asked, source.imageText))
    : undefined
  const { language, context } = source
  const program = await language.program()
  const streams = openStreams(language, program, second ? [conditioned.x, second.x] : [conditioned.x])
  const ids: number[] = []
  const dependencies: number[] = []
  let wasNeeded = false

  async function scored(logits: Float32Array): Promise<Float32Array> {
    const t = ids.length - conditioned.ids.length
    wasNeeded = isDouble && (measuresDependency || (contrast?.needs?.(logits, t) ?? true))
    const other = wasNeeded ? await streams.unconditioned() : logits
    if (measuresDependency) dependencies.push(dependency(logits, other))
    const scores = contrast ? contrasted(contrast, logits, other, t) : logits
    onScores?.(scores)
    return scores
  }
  const session = {
    ids,
    async prefill(given: readonly number[]) {
      ids.push(...given)
      return scored(await streams.begin())
    },
    async decode(id: number) {
      ids.push(id)
      return scored(await streams.push(id, wasNeeded))
    },
  }
  const { ids: made, finish } = await generateWith(session, context, { ...how, ids: conditioned.ids })
  return {
    ...{ ids: made, finish, promptIds: conditioned.ids, counts: { ...streams.counts } },
    ...(measuresDependency && { dependencies: dependencies.slice(0, made.length) }),
  }
}
