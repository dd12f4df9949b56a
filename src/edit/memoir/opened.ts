/** @file A model and its store, opened together: words as ids, masks of prompts, the edits that may answer, and the engine. */
import { fail } from '../../base/index.ts'
import { type LanguageModel, logProbabilityOf, type Tokenizer } from '../../lm/index.ts'
import { type Engine, openEngine, type Passage } from './engine.ts'
import { type Mask, parseMask, topHash } from './masks.ts'
import { type Match, matches, type Routable, route, routerOf } from './router.ts'
import { type EditRecord, type Store, statuses } from './store/index.ts'
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
