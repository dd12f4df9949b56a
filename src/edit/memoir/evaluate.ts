/** @file Reliability, generalization and locality, teacher-forced as the field does it, and by greedy generation. */
import { fail } from '../../base/index.ts'
import { type Key, random } from '../../tensor/index.ts'
import { bootstrap } from '../evaluation/bootstrap.ts'
import type { Fact } from '../facts/index.ts'
import type { Answering } from './answering.ts'

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
  /** What was generated, as many tokens as the answer has. */
  readonly texts: Scores<string | null>
}

export interface Evaluation extends Scores<Interval | null> {
  readonly generated: Scores<Interval | null>
  readonly perItem: readonly EvaluatedItem[]
}

const kinds: readonly Kind[] = ['reliability', 'generalization', 'locality']

/** Without the count of items, which `perItem` shows. */
function interval(values: readonly number[], key: Key): Interval | null {
  const found = bootstrap(values, key)
  return found && { mean: found.mean, low: found.low, high: found.high }
}

/** Places of a where b has the same. */
const share = (a: readonly number[], b: readonly number[]): number =>
  a.filter((id, i) => id === b[i]).length / a.length

/** What is evaluated: an editor, or another method behind the same questions. */
export type Evaluated = Pick<Answering, 'score' | 'generate' | 'unedited'>

/** Case, spacing and the form of letters count; space around does not. */
const sameText = (a: string, b: string): number =>
  Number(a.normalize('NFC').trim() === b.normalize('NFC').trim())

/**
 * Evaluate all facts after all edits. Teacher-forced: the share of the target's tokens that are the most probable ones;
 * locality: the share of the answer's places where the most probable token is that of the unedited model. Generated, greedily
 * and for as many tokens as the target has: 1 when the text is the target (locality: when the tokens are those that the unedited
 * model generates).
 */
export async function evaluateEdits(
  editor: Evaluated,
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
    const texts: Partial<Record<Kind, string>> = {}
    for (const kind of kinds) {
      const own = asked[kind]
      if (!own) continue
      const { edit, best, targetIds, unedited } = await editor.score(own.prompt, own.answer)
      edits[kind] = edit
      forced[kind] = share(kind === 'locality' ? unedited : targetIds, best)
      const make = { maxTokens: targetIds.length, stopAtEos: false }
      const after = await editor.generate(own.prompt, make)
      texts[kind] = after.text
      if (kind !== 'locality') generated[kind] = sameText(after.text, own.answer)
      else {
        const before = edit === null ? after : await editor.unedited(own.prompt, make)
        generated[kind] = Number(share(before.ids, after.ids) === 1)
      }
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
      texts: whole(texts),
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
