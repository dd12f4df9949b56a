/** @file The scope of a store at work: what edits ask, which of them a prompt asks, and what a program is told of both. */
import type { LanguageModel } from '../../lm/index.ts'
import { openFeatures } from '../scope/features.ts'
import { generalPrompts, weightedPrompt } from '../scope/learn.ts'
import { outsideWeights, piecesOf } from '../scope/outside.ts'
import { needOf, scopeTable } from '../scope/routed.ts'
import { difference, meanOf, nearness, placed, type ScopeMap, scopeVectors } from '../scope/scope.ts'
import type { Asks, ScopeSettings, Store, StoreConfig } from '../store/index.ts'
import type { ScopeRouting } from './engine.ts'
import type { Words } from './requests.ts'
import { neededOnes } from './routed.ts'
import type { Routable, ScopeMatch } from './router.ts'

export interface Asking {
  readonly map: ScopeMap
  /** What an edit asks, found when it is taught; undefined for one about nothing in particular. */
  asksOf(prompt: string, subject: string | undefined): Promise<Asks | undefined>
  /** For a program: edits that may answer a prompt. */
  routing(edits: readonly Routable[], ids: readonly number[]): ScopeRouting
  /** Scores of edits for a prompt; undefined of those that are not held back. */
  scores(edits: readonly Routable[], ids: readonly number[]): Promise<(ScopeMatch | undefined)[]>
  /** Ones that an edit must share with a prompt at least. */
  leastOnes(edit: Routable): number
  dispose(): void
}

/** What a prompt about a subject asks by a map; undefined for one about nothing in particular. `features` are those of its looks. */
export async function asksOf(
  map: ScopeMap,
  words: Words,
  features: ReturnType<typeof openFeatures>,
  { prompt, subject }: { readonly prompt: string; readonly subject?: string | undefined },
): Promise<Asks | undefined> {
  if (subject === undefined) return undefined
  const [own, ...general] = await features.of([
    weightedPrompt(words, prompt, subject),
    ...generalPrompts(words, subject),
  ])
  const mean = Float32Array.from(meanOf(general))
  return { mean, vector: Float32Array.from(scopeVectors(map, difference(own!, mean))) }
}

/** Overlap of two masks that have nothing in common, and a little more: where the scope decides, nearness need not. */
const chance = 1.05

/** Ones that an edit must share with a prompt at least: more than by chance where its scope decides, else those of τ. */
export const leastOnesOf = (
  isScoped: boolean,
  { threshold, ones, hidden }: { readonly threshold: number; readonly ones: number; readonly hidden: number },
): number => neededOnes(isScoped ? (chance * ones) / hidden : threshold, ones)

/** The scope of a store; undefined for a store without. */
export function askingOf(model: LanguageModel, words: Words, store: Store): Asking | undefined {
  const { scope: map } = store
  if (!map) return undefined
  const settings = (): ScopeSettings => store.config.scope!
  const features = openFeatures(model, map.looks)
  const threshold = (): number | undefined => {
    const { level, thresholds } = settings()
    return level === 'wide' ? undefined : thresholds[level]
  }
  const leastOnes = (edit: Routable): number =>
    leastOnesOf(edit.asks !== undefined && threshold() !== undefined, store.config)
  /** Of the edits that were asked last: they are often the same. */
  let kept:
    | (Pick<ScopeRouting, 'table' | 'least'> & { edits: readonly Routable[]; config: StoreConfig })
    | undefined
  return {
    ...{ map, leastOnes },
    asksOf: (prompt, subject) => asksOf(map, words, features, { prompt, subject }),
    routing(edits, ids) {
      const { config } = store
      if (kept?.edits !== edits || kept.config !== config) {
        const table = scopeTable(map, edits, threshold())
        kept = { edits, config, table, least: Float32Array.from(edits, leastOnes) }
      }
      const pieces = piecesOf(words, ids)
      const outside = new Float32Array(edits.length * ids.length)
      for (const [e, { asks, subject }] of edits.entries())
        if (asks) outside.set(outsideWeights(pieces, subject!), e * ids.length)
      return { outside, table: kept.table, least: kept.least }
    },
    async scores(edits, ids) {
      const own = threshold()
      if (own === undefined) return edits.map(() => undefined)
      const pieces = piecesOf(words, ids)
      const scoped = edits.filter(({ asks }) => asks)
      const found = await features.of(
        scoped.map(({ subject }) => ({ ids, weights: outsideWeights(pieces, subject!) })),
      )
      return edits.map((edit) => {
        if (!edit.asks) return undefined
        const rest = difference(found[scoped.indexOf(edit)]!, edit.asks.mean)
        const taught = placed(map, Float64Array.from(edit.asks.vector))
        const score = nearness(map, placed(map, scopeVectors(map, rest)), taught)
        const need = needOf(own, taught.common) - taught.common
        return { score, need, isSame: score >= need }
      })
    },
    dispose: features.dispose,
  }
}
