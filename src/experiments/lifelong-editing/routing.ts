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
  /** By how much the rephrasing asks what its own edit was taught, and other questions about the subject what any edit was. */
  readonly rephraseAsks?: number
  readonly othersAsk?: readonly number[]
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
  const own = rephrase.find((match) => match.number === number)
  const otherEdit = (await near(reference.edit?.prompt)).find((match) => match.number !== number)?.overlap
  const unrelated = await near(reference.locality?.prompt)
  const sameRelation = await near(reference.sameRelation?.prompt)
  const sameSubject = await near(reference.sameSubject?.prompt)
  const neighbour = await near(reference.neighbour?.prompt)
  const others = [sameSubject, neighbour].flatMap((list) => {
    const asks = list.flatMap((one) => one.asks ?? [])
    return asks.length > 0 ? Math.max(...asks) : []
  })
  const found = {
    rephrase: own?.overlap,
    rephraseIsOwn: rephrase[0] && rephrase[0].number === number,
    otherEdit,
    unrelated: unrelated[0]?.overlap,
    sameRelation: sameRelation[0]?.overlap,
    sameSubject: sameSubject[0]?.overlap,
    rephraseAsks: own?.asks,
    othersAsk: others.length > 0 ? others : undefined,
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
function tradeOff(own: readonly number[], others: readonly number[]): RoutingPoint[] {
  if (own.length === 0 || others.length === 0) return []
  const thresholds = [...new Set([...own.filter(Number.isFinite), ...others])].sort((a, b) => b - a)
  const share = (values: readonly number[], threshold: number): number =>
    values.filter((value) => value >= threshold).length / values.length
  return thresholds.map((threshold) => ({
    threshold,
    recall: share(own, threshold),
    falsePositives: share(others, threshold),
  }))
}

/** By overlap: rephrasings that reach their own edit, and prompts of a kind that no edit is about and one answers. */
export function routingCurve(
  list: readonly Overlaps[],
  against: 'unrelated' | 'sameRelation' | 'sameSubject',
): RoutingPoint[] {
  const hits = list.filter(({ rephrase, rephraseIsOwn }) => rephrase !== undefined || rephraseIsOwn === false)
  const own = hits.map(({ rephrase, rephraseIsOwn }) =>
    rephraseIsOwn ? rephrase! : Number.NEGATIVE_INFINITY,
  )
  return tradeOff(
    own,
    list.flatMap((one) => one[against] ?? []),
  )
}

/**
 * By what is asked: rephrasings that are taken to ask what their edit was taught, and other questions about the subject that are
 * taken for it. Thresholds are relative to the one in use, which is 0. Empty where nobody looked.
 */
export function askingCurve(list: readonly Overlaps[]): RoutingPoint[] {
  const asked = list.filter(({ othersAsk }) => othersAsk)
  return tradeOff(
    // a rephrasing that does not name its subject is held back at every threshold
    asked.flatMap(({ rephrase, rephraseAsks }) =>
      rephrase === undefined && rephraseAsks === undefined ? [] : (rephraseAsks ?? Number.NEGATIVE_INFINITY),
    ),
    asked.flatMap(({ othersAsk }) => othersAsk!),
  )
}

/** The threshold that finds most while at most a share of other questions passes: the highest of equal ones. */
export const bestWithin = (
  curve: readonly RoutingPoint[],
  falsePositives: number,
): RoutingPoint | undefined =>
  curve
    .filter((point) => point.falsePositives <= falsePositives)
    .reduce<RoutingPoint | undefined>(
      (best, point) => (best === undefined || point.recall > best.recall ? point : best),
      undefined,
    )

/** Shares of values in bins of one width over [0, 1]; the last bin holds 1. */
export function histogram(values: readonly number[], bins: number): number[] {
  const counts = new Array<number>(bins).fill(0)
  for (const value of values) counts[Math.max(0, Math.min(bins - 1, Math.floor(value * bins)))]! += 1
  return counts.map((count) => (values.length ? count / values.length : 0))
}
