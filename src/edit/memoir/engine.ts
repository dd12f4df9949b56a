/** @file The model with the memory in it: one program that routes a prompt, answers it, and goes on token by token. */
import { fail } from '../../base/index.ts'
import {
  capacityFor,
  type KvCache,
  type LanguageModel,
  type Segment,
  type SegmentHook,
  sharedLength,
  withRoomFor,
} from '../../lm/index.ts'
import { abs, cast, spec, sum, type Tensor, where } from '../../tensor/index.ts'
import { lastWeights } from '../scope/features.ts'
import { askingAlong, type ScopeInput, type ScopeTable, scopeArrays, scopeSpecs } from '../scope/routed.ts'
import type { ScopeMap } from '../scope/scope.ts'
import { type Candidates, type Choice, centred, choose, meanFeature, remembered } from './routed.ts'

interface EngineSettings {
  readonly layer: number
  /** The block whose activations the router looks at, at most `layer`. */
  readonly routerLayer: number
  /** k */
  readonly ones: number
  /** Mean feature of background prompts [hidden], or zeros. */
  readonly background: Float64Array
  /** Hand activations back with each passage, for routers that need more than a weighted mean of them. */
  readonly traces?: boolean
  /** Ask also what a prompt asks: by hidden states that enter blocks up to the router's. */
  readonly scope?: { readonly map: ScopeMap }
}

/** Who is asked what they were taught. */
export interface ScopeRouting {
  /** How much each token counts for each candidate, [E, tokens]. */
  readonly outside: Float32Array
  readonly table: ScopeTable
  /** Ones that each candidate must share at least, [E]; beside `need`. */
  readonly least: Float32Array
}

/** Who may answer a text. */
interface Routing {
  readonly candidates: Candidates
  /** Least number of shared ones: 0 forces the nearest, more than k silences the memory. */
  readonly need: number
  /** Weights of the tokens in the feature, [tokens]; default 1 each. */
  readonly weights?: Float64Array
  /** Of an engine with a scope; without it no candidate is held back. */
  readonly scope?: ScopeRouting
}

/** A text that the model has taken in and can go on with. */
export interface Passage {
  readonly ids: number[]
  /** The edit that answers, and stays the one for what follows. */
  readonly edit: number | null
  /** Logits of the rows asked for, [R, vocabulary]. */
  readonly logits: Float32Array
  /** Inputs of the router's block's down projection [tokens, hidden], where the engine traces. */
  readonly activations?: Float32Array
}

export interface Engine {
  /** Take a text in, routed. */
  read(ids: readonly number[], rows: readonly number[], routing: Routing): Promise<Passage>
  /** Take more tokens in as the same edit answers; logits of rows of them. */
  extend(passage: Passage, ids: readonly number[], rows: readonly number[]): Promise<Float32Array>
  /** Keep only what a passage shares with a text, at most all but the text's last token; how many tokens that is. */
  shorten(passage: Passage, ids: readonly number[]): number
  /** The passage is not used any more: another may have its cache. */
  release(passage: Passage): void
  /** Inputs of the router's block's down projection for a text, [tokens, hidden], with the memory silent. */
  activations(ids: readonly number[]): Promise<Float32Array>
  /** The hidden states that enter the edited block for a text, [tokens, width]. */
  hiddenStates(ids: readonly number[]): Promise<Float32Array>
  dispose(): void
}

/** Routing at one block, the memory at another or the same. */
function hookOf(
  { hidden, width }: LanguageModel['config'],
  { layer, routerLayer, ones, scope }: EngineSettings,
): SegmentHook {
  return {
    axes: ['E'],
    inputs: ({ B, S, E }) => ({
      ...(scope && { least: spec([E!]), ...scopeSpecs(scope.map, { edits: E!, batch: B!, tokens: S! }) }),
      weights: spec([B!, 1, S!], 'f64'),
      background: spec([hidden], 'f64'),
      table: spec([hidden, E!]),
      places: spec([E!, ones], 'i32'),
      need: spec([1]),
      memory: spec([hidden, width]),
    }),
    begin: (given) => {
      const inputs = given as Record<
        'weights' | 'background' | 'table' | 'places' | 'need' | 'memory' | 'least' | ScopeInput,
        Tensor
      >
      const asking = scope && askingAlong(scope.map.looks)
      let found: { readonly feature: Tensor; readonly choice: Choice } | undefined
      const look = (a: Tensor): Choice => {
        const feature = centred(meanFeature(a, inputs.weights), inputs.background)
        const { table, places, least } = inputs
        const edits = asking
          ? { table, places, least, allowed: cast(asking.same(inputs.scopeNeeds), 'f32') }
          : { table, places }
        found = { feature, choice: choose(feature, ones, edits, inputs.need) }
        return found.choice
      }
      return {
        ...(asking && {
          entering: (block, hiddenStates) => asking.enter(block, hiddenStates, () => inputs),
        }),
        down: (block) => {
          if (block === layer)
            return (a, plain) => remembered(a, plain, found?.choice ?? look(a), inputs.memory)
          if (block !== routerLayer) return undefined
          return (a, plain) => {
            look(a)
            return plain(a)
          }
        },
        results: () => {
          const { feature, choice } = found!
          return [where(choice.answers, choice.nearest, -1).cast('i32'), sum(abs(feature))]
        },
      }
    },
  }
}

const firstCapacity = 32

interface Inside extends Passage {
  kvCache: KvCache
  readonly routing: Routing
}

/** The engine of a model; `memory` is the residual memory [hidden, width], read at each call. Programs are made when needed. */
export function openEngine(model: LanguageModel, memory: Float32Array, settings: EngineSettings): Engine {
  const { layer, routerLayer, ones, background, traces = false, scope } = settings
  const { config, context } = model
  const { hidden } = config
  let whole: Promise<Segment> | undefined
  // one program for all that is asked: the weights of another would be as many again
  const wholeOf = (): Promise<Segment> => {
    whole ??= model.segment({
      ...{ hook: hookOf(config, settings), feature: routerLayer },
      ...(layer > 0 && { hiddenStates: layer }),
    })
    return whole
  }
  const noTable = new Float32Array(hidden)
  const arrays = scope && scopeArrays(scope.map)
  /** Inputs of the scope for some candidates, in the order of the hook's. */
  function scopeInputs(edits: number, tokens: number, own: ScopeRouting | undefined): Float32Array[] {
    if (!scope) return []
    const { map, questions } = arrays!
    const ending = Float32Array.from(lastWeights(tokens))
    if (own) {
      const { means, vectors, needs } = own.table
      return [own.least, own.outside, ending, means, vectors, needs, map, questions]
    }
    const of = (size: number): Float32Array => new Float32Array(edits * size)
    const nothing = of(scope.map.looks.length * scope.map.dimensions)
    return [of(1).fill(-1), of(tokens), ending, nothing, nothing, of(1).fill(-1e9), map, questions]
  }
  const passages = new WeakMap<Passage, Inside>()
  /** Of the last text that ended: its arrays are there already, and what is in them is not looked at. */
  let idle: KvCache | undefined

  async function run(
    ids: readonly number[],
    kvCache: KvCache,
    rows: readonly number[],
    { candidates, need, weights = new Float64Array(ids.length).fill(1), scope: own }: Routing,
  ) {
    const chosen = new Int32Array(1)
    const size = new Float64Array(1)
    const { table, places } = candidates
    const out = await (await wholeOf()).run({
      ...{ ids, kvCache, rows },
      hook: {
        sizes: { E: places.length / ones },
        inputs: [
          ...scopeInputs(places.length / ones, ids.length, own),
          weights,
          background,
          table,
          places,
          Float32Array.of(need),
          memory,
        ],
        results: [chosen, size],
      },
    })
    if (!Number.isFinite(size[0])) fail('TL_NOT_FINITE', 'the activations of the text are not finite')
    return { ...out, chosen: chosen[0]! }
  }

  const inside = (passage: Passage): Inside =>
    passages.get(passage) ?? fail('TL_BAD_ARGUMENT', 'the passage is not there any more')

  /** A text with the memory silent. */
  async function below(ids: readonly number[]) {
    const segment = await wholeOf()
    const candidates = { numbers: [], table: noTable, places: new Int32Array(ones) }
    const kvCache = segment.kvCache(1, ids.length)
    return run(ids, kvCache, [ids.length - 1], { candidates, need: ones + 1 })
  }

  return {
    async read(given, rows, routing) {
      const segment = await wholeOf()
      const has = idle && idle.capacity >= given.length ? idle : undefined
      if (has) idle = undefined
      const kvCache = has ?? segment.kvCache(1, capacityFor(given.length, firstCapacity, context))
      kvCache.length = 0
      const { chosen, logits, feature } = await run(given, kvCache, rows, routing)
      const { numbers, places } = routing.candidates
      const own = Math.max(0, chosen)
      const passage: Inside = {
        ...{ ids: [...given], edit: chosen < 0 ? null : numbers[chosen]!, logits: logits!, kvCache },
        ...(traces && { activations: feature! }),
        // what follows is not routed again
        routing: {
          candidates: {
            numbers: [],
            table: noTable,
            places: places.subarray(own * ones, (own + 1) * ones),
          },
          need: chosen < 0 ? ones + 1 : 0,
        },
      }
      passages.set(passage, passage)
      return passage
    },
    async extend(passage, given, rows) {
      const own = inside(passage)
      own.kvCache = withRoomFor(own.kvCache, config, own.ids.length + given.length, context)
      own.ids.push(...given)
      return (await run(given, own.kvCache, rows, own.routing)).logits!
    },
    shorten(passage, ids) {
      const own = inside(passage)
      own.ids.length = sharedLength(own.ids, ids)
      own.kvCache.length = own.ids.length
      return own.ids.length
    },
    release(passage) {
      const own = passages.get(passage)
      if (own && !(idle && idle.capacity >= own.kvCache.capacity)) idle = own.kvCache
      passages.delete(passage)
    },
    activations: async (ids) => (await below(ids)).feature!,
    hiddenStates: async (ids) =>
      layer > 0 ? (await below(ids)).hiddenStates! : model.weights.embed(ids, [...ids.keys()]),
    dispose: () => {
      void whole?.then((own) => own.dispose()).catch(() => undefined)
    },
  }
}
