/** @file A model and its store, opened together: words as ids, masks of prompts, the edits that may answer, and the engine. */
import { fail } from '../../base/index.ts'
import { type LanguageModel, logProbabilityOf, type Tokenizer } from '../../lm/index.ts'
import { type Engine, openEngine, type Passage } from './engine.ts'
import { type Mask, parseMask, topHash } from './masks.ts'
import { type Match, matches, type Routable, route, routerOf } from './router.ts'
import { type EditRecord, type Store, type StoreConfig, statuses } from './store/index.ts'
import { guessSubject } from './subject.ts'

/** What editing needs of a tokenizer. */
export type Words = Pick<Tokenizer, 'encode' | 'decode' | 'eosIds' | 'addsBos' | 'fingerprint'>

/** A text, or the token ids of one. */
export type Prompt = string | readonly number[]

/** A prompt, taken in with the memory silent, and what the router makes of it. */
export interface Seen {
  readonly ids: readonly number[]
  readonly mask: Mask
  /** All active edits, the nearest first. */
  readonly list: readonly Match[]
  /** The one that answers. */
  readonly match: Match | undefined
  /** Logits of it are of the last row. */
  readonly passage: Passage
}

export interface Opened {
  readonly model: LanguageModel
  readonly words: Words
  readonly store: Store
  /** The residual memory [hidden, width] that the engine reads; equal to the store's between edits. */
  readonly memory: Float32Array
  /** Compiled when it is first asked something: a list needs no model. */
  engine(): Promise<Engine>
  /** Token ids of a prompt. Throws `TL_BAD_ARGUMENT` for an empty one or one that does not fit the context. */
  promptIds(prompt: Prompt): number[]
  /** Token ids of a target after a prompt of `before` tokens. */
  targetIds(target: string, before: number): number[]
  /** Edits that may answer. */
  active(): readonly Routable[]
  maskOfRecord(record: EditRecord): Mask
  /** Take a prompt in, with `room` for tokens to follow. */
  look(prompt: Prompt, room?: number): Promise<Seen>
  dispose(): void
}

/** The feature [hidden] of a prompt, not centred, and its passage, whose logits are of the last row. */
export async function featureOf(
  engine: Engine,
  ids: readonly number[],
  model: LanguageModel,
  router: string,
  room = 0,
): Promise<{ feature: Float64Array; passage: Passage }> {
  const { vocabulary, hidden } = model.config
  const { needsSurprisals, feature } = routerOf(router)
  const passage = await engine.read(ids, needsSurprisals ? ids.map((_, t) => t) : [ids.length - 1], room)
  const { activations, logits } = passage
  if (!needsSurprisals) return { feature: feature({ activations, hidden }), passage }
  const row = (t: number): Float32Array => logits.subarray(t * vocabulary, (t + 1) * vocabulary)
  const surprisals = ids.map((id, t) => (t === 0 ? 0 : -logProbabilityOf(row(t - 1), id)))
  return {
    feature: feature({ activations, hidden, surprisals }),
    passage: { ...passage, logits: row(ids.length - 1) },
  }
}

/** Tokens (with padding) of one batch. */
const budget = 256

/** Features of many prompts, not centred: several at once where their activations are all that is needed. */
export async function featuresOf(
  model: LanguageModel,
  { layer, router, routerLayer }: StoreConfig,
  prompts: readonly (readonly number[])[],
  onPrompt: (done: number, total: number) => void,
): Promise<Float64Array[]> {
  const { hidden, width } = model.config
  const features = new Array<Float64Array>(prompts.length)
  let done = 0
  onPrompt(0, prompts.length)
  if (routerOf(router).needsSurprisals) {
    const engine = await openEngine(model, layer, routerLayer, new Float32Array(hidden * width))
    try {
      for (const [i, ids] of prompts.entries()) {
        features[i] = (await featureOf(engine, ids, model, router)).feature
        onPrompt(++done, prompts.length)
      }
    } finally {
      engine.dispose()
    }
    return features
  }
  const segment = await model.segment({ to: routerLayer + 1, head: false, feature: routerLayer })
  const order = prompts.map((_, i) => i).sort((a, b) => prompts[a]!.length - prompts[b]!.length)
  try {
    while (done < order.length) {
      const group = [order[done]!]
      for (let i = done + 1; i < order.length; i++)
        if ((group.length + 1) * prompts[order[i]!]!.length <= budget) group.push(order[i]!)
        else break
      const tokens = prompts[group.at(-1)!]!.length
      const padded = group.flatMap((i) => Array.from({ length: tokens }, (_, t) => prompts[i]![t] ?? 0))
      const x = model.weights.embed(
        padded,
        padded.map((_, k) => k % tokens),
      )
      const last = Int32Array.from(group, (i) => prompts[i]!.length - 1)
      const cache = segment.cache(group.length, tokens)
      const { feature } = await segment.run({ x, tokens, last, total: tokens, cache })
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
export function openTogether(model: LanguageModel, words: Words, store: Store): Opened {
  const { hidden } = model.config
  const { layer, ones: k, router: routerName, routerLayer } = store.config
  const router = routerOf(routerName)
  const memory = store.memory.slice()
  let engine: Promise<Engine> | undefined
  let routable: { count: number; edits: Routable[] } | undefined

  const maskOf = (feature: Float64Array): Mask =>
    topHash(
      router.isCentred ? feature.map((x, j) => x - store.background[j]!) : feature,
      k,
      store.permutation,
    )

  const opened: Opened = {
    ...{ model, words, store, memory },
    engine() {
      engine ??= openEngine(model, layer, routerLayer, memory)
      return engine
    },
    promptIds(prompt) {
      const ids = typeof prompt === 'string' ? words.encode(prompt, { bos: words.addsBos }) : [...prompt]
      if (ids.length === 0) fail('TL_BAD_ARGUMENT', 'the prompt is empty')
      if (ids.length > model.context)
        fail('TL_BAD_ARGUMENT', `the prompt has ${ids.length} tokens, the context holds ${model.context}`)
      return ids
    },
    targetIds(target, before) {
      if (target.trim() === '')
        fail('TL_BAD_ARGUMENT', 'the target is empty: expected what the model is to answer')
      const ids = words.encode(/^\s/.test(target) ? target : ` ${target}`)
      if (before + ids.length > model.context)
        fail(
          'TL_BAD_ARGUMENT',
          `the target has ${ids.length} tokens and the prompt ${before}: together more than the context of ${model.context}`,
        )
      return ids
    },
    maskOfRecord: (record) =>
      parseMask(record.mask, hidden, k) ??
      fail('TL_BAD_FILE', `${store.path}: the mask of edit ${record.number} is none; the store is damaged`),
    active() {
      if (routable?.count !== store.records.length)
        routable = {
          count: store.records.length,
          edits: statuses(store.records)
            .filter(({ status }) => status.state === 'active')
            .map(({ record }) => {
              const subject = record.subject ?? guessSubject(record.prompt)
              const mask = opened.maskOfRecord(record)
              return { number: record.number, mask, ...(subject !== undefined && { subject }) }
            }),
        }
      return routable.edits
    },
    async look(prompt, room = 0) {
      const { gate, threshold } = store.config
      const ids = opened.promptIds(prompt)
      const { feature, passage } = await featureOf(await opened.engine(), ids, model, routerName, room)
      const mask = maskOf(feature)
      const text = typeof prompt === 'string' ? prompt : words.decode(prompt)
      const list = matches(mask, opened.active(), k, gate === 'subject' ? { text } : undefined)
      return { ids, mask, list, match: route(list, threshold), passage }
    },
    dispose: () => void engine?.then((own) => own.dispose()).catch(() => undefined),
  }
  return opened
}
