/** @file Which edits prompts are near: overlaps of masks, and what a threshold between them finds and lets through. */

import type { Reference } from '../../edit/index.ts'
import type { EditedModel } from './methods/index.ts'

/** Overlaps of one fact's prompts, each in [0, 1]; absent where there is no such prompt or no such edit among the nearest. */
export interface Overlaps {
  /** The rephrasing with the fact's own edit, and whether that is the nearest. */
  readonly rephrase?: number
  readonly rephraseIsOwn?: boolean
  /** The prompt with the nearest edit of another fact. */
  readonly otherEdit?: number
  /** With the nearest edit: prompts that no edit is about, the same wording about another subject, another thing of the same subject. */
  readonly unrelated?: number
  readonly sameRelation?: number
  readonly sameSubject?: number
}

/** The overlaps of the fact that edit `number` taught. Looks at the `count` nearest edits. */
export async function overlapsOf(
  model: EditedModel,
  reference: Reference,
  number: number,
  count = 20,
): Promise<Overlaps | undefined> {
  const look = model.overlaps
  if (!look) return undefined
  const near = async (prompt: string | undefined) => (prompt === undefined ? [] : look(prompt, count))
  const rephrase = await near(reference.rephrase?.prompt)
  const own = rephrase.find((match) => match.number === number)?.overlap
  const otherEdit = (await near(reference.edit?.prompt)).find((match) => match.number !== number)?.overlap
  const nearest = async (kind: 'locality' | 'sameRelation' | 'sameSubject') =>
    (await near(reference[kind]?.prompt))[0]?.overlap
  const found = {
    rephrase: own,
    rephraseIsOwn: rephrase[0] && rephrase[0].number === number,
    otherEdit,
    unrelated: await nearest('locality'),
    sameRelation: await nearest('sameRelation'),
    sameSubject: await nearest('sameSubject'),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Overlaps
}

interface RoutingPoint {
  readonly threshold: number
  /** Share of rephrasings that reach their own edit. */
  readonly recall: number
  /** Share of prompts that no edit is about and that an edit answers. */
  readonly falsePositives: number
}

/** Recall against false positives at every threshold that matters, from the highest to the lowest. */
export function routingCurve(
  list: readonly Overlaps[],
  against: 'unrelated' | 'sameRelation' | 'sameSubject',
): RoutingPoint[] {
  const hits = list.filter(({ rephrase, rephraseIsOwn }) => rephrase !== undefined || rephraseIsOwn === false)
  const others = list.flatMap((one) => one[against] ?? [])
  if (hits.length === 0 || others.length === 0) return []
  const own = hits.map(({ rephrase, rephraseIsOwn }) =>
    rephraseIsOwn ? rephrase! : Number.NEGATIVE_INFINITY,
  )
  const thresholds = [...new Set([...own.filter(Number.isFinite), ...others])].sort((a, b) => b - a)
  const share = (values: readonly number[], threshold: number): number =>
    values.filter((value) => value >= threshold).length / values.length
  return thresholds.map((threshold) => ({
    threshold,
    recall: share(own, threshold),
    falsePositives: share(others, threshold),
  }))
}

/** Shares of values in bins of one width over [0, 1]; the last bin holds 1. */
export function histogram(values: readonly number[], bins: number): number[] {
  const counts = new Array<number>(bins).fill(0)
  for (const value of values) counts[Math.max(0, Math.min(bins - 1, Math.floor(value * bins)))]! += 1
  return counts.map((count) => (values.length ? count / values.length : 0))
}
