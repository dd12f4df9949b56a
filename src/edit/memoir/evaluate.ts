/** @file Reliability, generalization and locality, teacher-forced as the field does it, and by greedy generation. */
import { fail } from '../../base/index.ts'
import { type Key, random } from '../../tensor/index.ts'
import type { Fact } from '../facts/index.ts'
import type { Editor } from './editor.ts'

/** A mean over items with its bootstrap interval (95 %, percentiles of 1000 resamples). */
export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
}

interface Scores<T> {
  readonly reliability: T
  readonly generalization: T
  readonly locality: T
}
type Kind = keyof Scores<unknown>

export interface EvaluatedItem extends Scores<number | null> {
  readonly prompt: string
  readonly target: string
  /** The edits that answered the prompt, the rephrase and the locality prompt. */
  readonly edits: Scores<number | null>
  readonly generated: Scores<number | null>
}

export interface Evaluation extends Scores<Interval | null> {
  readonly generated: Scores<Interval | null>
  readonly perItem: readonly EvaluatedItem[]
}

const kinds: readonly Kind[] = ['reliability', 'generalization', 'locality']

function interval(values: readonly number[], key: Key): Interval | null {
  const n = values.length
  if (n === 0) return null
  const draws = 1000
  const places = random.sampleIntegers(key, draws * n, n)
  const means = Float64Array.from({ length: draws }, (_, d) => {
    let total = 0
    for (let i = 0; i < n; i++) total += values[places[d * n + i]!]!
    return total / n
  }).sort()
  return { mean: values.reduce((a, b) => a + b, 0) / n, low: means[24]!, high: means[974]! }
}

const share = (a: readonly number[], b: readonly number[]): number =>
  a.filter((id, i) => id === b[i]).length / a.length
const isSame = (a: readonly number[], b: readonly number[]): number => Number(share(b, a) === 1)

/**
 * Evaluate all facts after all edits. Teacher-forced: the share of the target's tokens that are the most probable ones;
 * locality: the share of the answer's places where the most probable token is that of the unedited model. Generated: 1 when as
 * many tokens as the target has, generated greedily, are the target (locality: are those of the unedited model).
 */
export async function evaluateEdits(
  editor: Editor,
  facts: readonly Fact[],
  options: { readonly seed?: number; readonly onItem?: (done: number, total: number) => void } = {},
): Promise<Evaluation> {
  if (facts.length === 0) fail('TL_BAD_ARGUMENT', 'evaluate: expected at least one fact')
  const perItem: EvaluatedItem[] = []
  for (const [done, fact] of facts.entries()) {
    options.onItem?.(done, facts.length)
    const asked: Record<Kind, { prompt: string; answer: string } | undefined> = {
      reliability: { prompt: fact.prompt, answer: fact.target },
      generalization:
        fact.rephrase === undefined ? undefined : { prompt: fact.rephrase, answer: fact.target },
      locality: fact.locality,
    }
    const forced: Partial<Record<Kind, number>> = {}
    const generated: Partial<Record<Kind, number>> = {}
    const edits: Partial<Record<Kind, number | null>> = {}
    for (const kind of kinds) {
      const own = asked[kind]
      if (!own) continue
      const { edit, best, targetIds, unedited } = await editor.score(own.prompt, own.answer)
      edits[kind] = edit
      const maxTokens = targetIds.length
      if (kind === 'locality') {
        forced[kind] = share(best, unedited)
        generated[kind] = 1
        if (edit !== null) {
          const make = { maxTokens, stopAtEos: false }
          const after = await editor.generate(own.prompt, make)
          generated[kind] = isSame(after.ids, (await editor.unedited(own.prompt, make)).ids)
        }
        continue
      }
      forced[kind] = share(targetIds, best)
      // all tokens right when forced is what greedy generation makes, and the other way round
      generated[kind] = isSame(best, targetIds)
    }
    const whole = <T>(part: Partial<Record<Kind, T>>): Scores<T | null> => ({
      reliability: part.reliability ?? null,
      generalization: part.generalization ?? null,
      locality: part.locality ?? null,
    })
    perItem.push({
      prompt: fact.prompt,
      target: fact.target,
      ...whole(forced),
      edits: whole<number | null>(edits),
      generated: whole(generated),
    })
  }
  options.onItem?.(facts.length, facts.length)
  const key = random.key(options.seed ?? 0)
  const present = (of: (item: EvaluatedItem) => number | null): number[] =>
    perItem.map(of).filter((v): v is number => v !== null)
  const summary = (
    pick: (item: EvaluatedItem) => Scores<number | null>,
    own: Key,
  ): Scores<Interval | null> => {
    const [r, g, l] = random.split(own, 3) as [Key, Key, Key]
    return {
      reliability: interval(
        present((item) => pick(item).reliability),
        r,
      ),
      generalization: interval(
        present((item) => pick(item).generalization),
        g,
      ),
      locality: interval(
        present((item) => pick(item).locality),
        l,
      ),
    }
  }
  const [forcedKey, generatedKey] = random.split(key, 2) as [Key, Key]
  return {
    ...summary((item) => item, forcedKey),
    generated: summary(({ generated }) => generated, generatedKey),
    perItem,
  }
}
