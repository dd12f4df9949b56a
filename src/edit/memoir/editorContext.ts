/** @file A model and its store, opened together: words as ids, masks of prompts, the edits that may answer, and the engine. */
import { fail } from '../../base/index.ts'
import { type LanguageModel, logProbabilityOf } from '../../lm/index.ts'
import { type EditRecord, type Store, type StoreConfig, type StoreRecord, statuses } from '../store/index.ts'
import { type Asking, askingOf } from './asking.ts'
import { batchesOf } from './batches.ts'
import { type Engine, openEngine, type Passage } from './engine.ts'
import { type Mask, parseMask, topHash } from './masks.ts'
import { type Prompt, type Texts, textsOf, type Words } from './requests.ts'
import { type Candidates, candidatesOf, neededOnes } from './routed.ts'
import { type Match, matches, type Routable, route, routerOf } from './router.ts'
import { gateOf, guessSubject } from './subject.ts'

/** What the router makes of a prompt. */
interface Seen {
  readonly ids: readonly number[]
  readonly mask: Mask
  /** All active edits, the nearest first. */
  readonly list: readonly Match[]
  /** The one that answers. */
  readonly match: Match | undefined
}

export interface EditorContext extends Texts {
  readonly model: LanguageModel
  readonly words: Words
  readonly store: Store
  /** The residual memory [hidden, width] that the engine reads; equal to the store's between edits. */
  readonly memory: Float32Array
  /** Of a store with a scope. */
  readonly asking?: Asking
  engine(): Promise<Engine>
  /** Edits that may answer. */
  active(): readonly Routable[]
  /** Those that the gate leaves for a prompt. */
  passing(prompt: Prompt): readonly Routable[]
  maskOfRecord(record: EditRecord): Mask
  /** Only route a prompt. */
  look(prompt: Prompt): Promise<Seen>
  /** The edit that answers a prompt, null for none: decided by what `begin` does, whoever asks. */
  who(prompt: Prompt): Promise<number | null>
  /** Take a prompt in; whoever began it releases the passage. */
  begin(prompt: Prompt, options?: Beginning): Promise<Passage>
  dispose(): void
}

export interface Beginning {
  /** Tokens after which logits are wanted; default the last. */
  readonly rows?: readonly number[]
  /** The active edit that answers, null for none; default what routing finds. */
  readonly edit?: number | null
}

const nobody: readonly Routable[] = []

/** Feature [hidden] of a text by a router that looks at probabilities, not centred: with the memory silent. */
async function bySurprisals(
  engine: Engine,
  ids: readonly number[],
  { config: { vocabulary, hidden } }: LanguageModel,
  router: string,
  silent: { candidates: Candidates; need: number },
): Promise<Float64Array> {
  const passage = await engine.read(
    ids,
    ids.map((_, t) => t),
    silent,
  )
  const { logits, activations } = passage
  const row = (t: number): Float32Array => logits.subarray(t * vocabulary, (t + 1) * vocabulary)
  const surprisals = ids.map((id, t) => (t === 0 ? 0 : -logProbabilityOf(row(t - 1), id)))
  engine.release(passage)
  return routerOf(router).feature({ activations: activations!, hidden, surprisals })
}

/** Features of many prompts, not centred: several at once where their activations are all that is needed. */
export async function featuresOf(
  model: LanguageModel,
  { layer, ones, router, routerLayer }: StoreConfig,
  prompts: readonly (readonly number[])[],
  onPrompt: (done: number, total: number) => void,
): Promise<Float64Array[]> {
  const { hidden, width } = model.config
  const features = new Array<Float64Array>(prompts.length)
  let done = 0
  onPrompt(0, prompts.length)
  if (routerOf(router).needsSurprisals) {
    const background = new Float64Array(hidden)
    const settings = { layer, routerLayer, ones, background, traces: true }
    const engine = openEngine(model, new Float32Array(hidden * width), settings)
    const silent = { candidates: candidatesOf(nobody, ones, new Uint32Array(hidden)), need: ones + 1 }
    try {
      for (const [i, ids] of prompts.entries()) {
        features[i] = await bySurprisals(engine, ids, model, router, silent)
        onPrompt(++done, prompts.length)
      }
    } finally {
      engine.dispose()
    }
    return features
  }
  const segment = await model.segment({ to: routerLayer + 1, head: false, feature: routerLayer })
  try {
    for (const { group, tokens, ids, last } of batchesOf(prompts)) {
      const kvCache = segment.kvCache(group.length, tokens)
      const { feature } = await segment.run({ ids, kvCache, last })
      for (const [b, i] of group.entries()) {
        const from = b * tokens * hidden
        const activations = feature!.subarray(from, from + prompts[i]!.length * hidden)
        features[i] = routerOf(router).feature({ activations, hidden })
      }
      done += group.length
      onPrompt(done, prompts.length)
    }
  } finally {
    segment.dispose()
  }
  return features
}

/** Put a model and a store that belongs to it together. */
export function openEditorContext(model: LanguageModel, words: Words, store: Store): EditorContext {
  const { hidden } = model.config
  const { layer, ones, router: routerName, routerLayer } = store.config
  const { permutation } = store
  const router = routerOf(routerName)
  const memory = store.memory.slice()
  let routable: { count: number; edits: Routable[] } | undefined
  let candidates: { edits: readonly Routable[]; all: Candidates; ordered: readonly Routable[] } | undefined
  const background = router.isCentred ? store.background : new Float64Array(hidden)
  const asking = askingOf(model, words, store)
  const engine = openEngine(model, memory, {
    ...{ layer, routerLayer, ones, background },
    traces: router.weights === undefined,
    ...(asking && { scope: asking }),
  })
  const silent = { candidates: candidatesOf(nobody, ones, permutation), need: ones + 1 }

  /** Those of a prompt; kept, since they are often the same as before. */
  function candidatesAmong(edits: readonly Routable[]) {
    const { edits: before } = candidates ?? {}
    if (!before || before.length !== edits.length || before.some((edit, i) => edit !== edits[i])) {
      const all = candidatesOf(edits, ones, permutation)
      const byNumber = new Map(edits.map((edit) => [edit.number, edit]))
      candidates = { edits, all, ordered: all.numbers.map((number) => byNumber.get(number)!) }
    }
    return candidates!
  }
  const textOf = (prompt: Prompt): string => (typeof prompt === 'string' ? prompt : words.decode(prompt))
  async function featureOf(ids: readonly number[]): Promise<Float64Array> {
    if (router.needsSurprisals) return bySurprisals(engine, ids, model, routerName, silent)
    return router.feature({ activations: await engine.activations(ids), hidden })
  }

  const opened: EditorContext = {
    ...{ model, words, store, memory },
    ...(asking && { asking }),
    ...textsOf(words, model.context),
    engine: async () => engine,
    maskOfRecord: (record) =>
      parseMask(record.mask, hidden, ones) ??
      fail('TL_BAD_FILE', `${store.path}: the mask of edit ${record.number} is none; the store is damaged`),
    active() {
      if (routable?.count !== store.records.length) {
        const places = new Map<StoreRecord, number>(store.records.map((record, i) => [record, i]))
        routable = {
          count: store.records.length,
          edits: statuses(store.records)
            .filter(({ status }) => status.state === 'active')
            .map(({ record }) => {
              const subject = record.subject ?? guessSubject(record.prompt)
              const mask = opened.maskOfRecord(record)
              const asks = store.asksAt(places.get(record)!)
              return {
                ...{ number: record.number, mask },
                ...(subject !== undefined && { subject }),
                ...(asks && { asks }),
              }
            }),
        }
      }
      return routable.edits
    },
    passing: (prompt) =>
      store.config.gate === 'subject' ? opened.active().filter(gateOf(textOf(prompt))) : opened.active(),
    async look(prompt) {
      const ids = opened.promptIds(prompt)
      const feature = await featureOf(ids)
      const mask = topHash(
        feature.map((x, j) => x - background[j]!),
        ones,
        permutation,
      )
      const text = store.config.gate === 'subject' ? { text: textOf(prompt) } : undefined
      const list = matches(mask, opened.active(), ones, text)
      if (!asking) return { ids, mask, list, match: route(list, store.config.threshold) }
      const edits = new Map(opened.active().map((edit) => [edit.number, edit]))
      const passing = list.filter(({ passes }) => passes).map(({ number }) => edits.get(number)!)
      const scores = await asking.scores(passing, ids)
      const scoreOf = new Map(passing.map(({ number }, i) => [number, scores[i]]))
      const scoped = list.map((one) => {
        const scope = scoreOf.get(one.number)
        return scope ? { ...one, scope } : one
      })
      const match = scoped.find(
        ({ passes, scope, overlap, number }) =>
          passes &&
          scope?.isSame !== false &&
          Math.round(overlap * ones) >= asking.leastOnes(edits.get(number)!),
      )
      return { ids, mask, list: scoped, match }
    },
    async who(prompt) {
      if (opened.passing(prompt).length === 0) return null
      const passage = await opened.begin(prompt)
      engine.release(passage)
      return passage.edit
    },
    async begin(prompt, { rows, edit } = {}) {
      const ids = opened.promptIds(prompt)
      const wanted = rows ?? [ids.length - 1]
      const all = opened.active()
      const forced = (number: number | null) => {
        const own = all.filter((one) => one.number === number)
        return own.length === 0 ? silent : { candidates: candidatesAmong(own).all, need: 0 }
      }
      if (edit !== undefined) return engine.read(ids, wanted, forced(edit))
      if (!router.weights) {
        const { match } = await opened.look(prompt)
        return engine.read(ids, wanted, forced(match?.number ?? null))
      }
      const passing = opened.passing(prompt)
      if (passing.length === 0) return engine.read(ids, wanted, silent)
      const weights = router.weights(ids.length)
      const { all: candidates, ordered } = candidatesAmong(passing)
      if (!asking) {
        const need = neededOnes(store.config.threshold, ones)
        return engine.read(ids, wanted, { candidates, need, weights })
      }
      const scope = asking.routing(ordered, ids)
      return engine.read(ids, wanted, { candidates, need: 0, weights, scope })
    },
    dispose: () => {
      asking?.dispose()
      engine.dispose()
    },
  }
  return opened
}
