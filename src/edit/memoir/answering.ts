/** @file Asking a model with a store: route on the prompt, answer under the mask that was found. */
import { fail } from '../../base/index.ts'
import {
  argmaxOf,
  type Generated,
  type GenerateOptions,
  generateWith,
  logProbabilityOf,
} from '../../lm/index.ts'
import type { Passage } from './engine.ts'
import type { Beginning, Opened, Prompt } from './opened.ts'
import type { Match } from './router.ts'
import { statuses } from './store/index.ts'

export interface Why {
  /** The edit that answers; null: the model as it was. */
  readonly answer: number | null
  readonly threshold: number
  readonly nearest: readonly (Match & {
    readonly isAbove: boolean
    readonly prompt: string
    readonly target: string
    /** What it is about, as given or guessed; the gate looks for it in the prompt. */
    readonly subject?: string
  })[]
}

export interface Answered {
  /** The edit that answered, or null. */
  readonly edit: number | null
  readonly promptIds: readonly number[]
  readonly ids: readonly number[]
  readonly text: string
  readonly finish: Generated['finish']
}

/** How to continue; greedy unless a temperature is given. */
export interface AnswerOptions extends Omit<GenerateOptions, 'ids' | 'stopIds'> {
  /** Default true. */
  readonly stopAtEos?: boolean
}

export interface TextScore {
  readonly edit: number | null
  readonly ids: readonly number[]
  /** log p of each token but the first, in nats. */
  readonly logProbabilities: readonly number[]
  /** Logits after the last token, [vocabulary]. */
  readonly next: Float32Array
}

export interface TargetScore {
  readonly edit: number | null
  /** log p of each token of the target, in nats. */
  readonly logProbabilities: readonly number[]
  /** The most probable token in the place of each. */
  readonly best: readonly number[]
  readonly targetIds: readonly number[]
}

export interface Asked {
  /** What follows a prompt. */
  generate(prompt: Prompt, options: AnswerOptions): Promise<Answered>
  /** A target after a prompt, teacher-forced. */
  score(prompt: string, target: string): Promise<TargetScore>
}

/** Texts that grow, as in a conversation: what one shares with the one before is kept while the same edit answers, or none. */
export interface Thread {
  /** Continue a text, routed on `about`, which may be a part of it. */
  continue(
    ids: readonly number[],
    about: Prompt,
    options: Omit<GenerateOptions, 'ids'>,
  ): Promise<Generated & { readonly edit: number | null }>
}

export interface Answering extends Asked {
  why(prompt: string, count?: number): Promise<Why>
  /** The same questions with the memory silent. */
  readonly unedited: Asked
  thread(): Thread
  /** How probable a text is, routed on its first `promptTokens` tokens (default all of them). */
  scoreText(text: Prompt, promptTokens?: number): Promise<TextScore>
  /** Logits after the last token of a prompt, [vocabulary], routed. */
  logits(prompt: Prompt): Promise<{ edit: number | null; logits: Float32Array }>
}

/** Tokens that a thread takes in at once: what a long text needs beside its cache. */
const chunk = 512

/** Answers of an opened store. */
export function answeringOf(opened: Opened): Answering {
  const { model, words, store } = opened
  const { vocabulary } = model.config
  const rowOf = (logits: Float32Array, t: number): Float32Array =>
    logits.subarray(t * vocabulary, (t + 1) * vocabulary)

  /** Take a prompt in and do something with it. */
  async function after<R>(
    prompt: Prompt,
    own: Beginning,
    work: (passage: Passage) => Promise<R>,
  ): Promise<R> {
    const passage = await opened.begin(prompt, own)
    try {
      return await work(passage)
    } finally {
      ;(await opened.engine()).release(passage)
    }
  }

  const asked = (own: Beginning): Asked => ({
    generate: (prompt, { stopAtEos = true, ...options }) =>
      after(prompt, own, async (passage) => {
        const engine = await opened.engine()
        const promptIds = [...passage.ids]
        const session = {
          ids: passage.ids,
          prefill: async () => passage.logits,
          decode: (id: number) => engine.extend(passage, [id], [0]),
        }
        const stopIds = stopAtEos ? words.eosIds : []
        const all = { ...options, ids: promptIds, stopIds }
        const { ids, finish } = await generateWith(session, model.context, all)
        const text = words.decode(ids, { continues: true })
        return { edit: passage.edit, promptIds, ids, text, finish }
      }),
    score(prompt, target) {
      const targetIds = opened.targetIds(target, opened.promptIds(prompt).length)
      return after(prompt, own, async (passage) => {
        const rest = targetIds.slice(0, -1)
        const rows = rest.map((_, i) => i)
        const more = rest.length > 0 ? await (await opened.engine()).extend(passage, rest, rows) : undefined
        const logits = targetIds.map((_, i) => (i === 0 ? passage.logits : rowOf(more!, i - 1)))
        return {
          edit: passage.edit,
          logProbabilities: targetIds.map((id, i) => logProbabilityOf(logits[i]!, id)),
          best: logits.map(argmaxOf),
          targetIds,
        }
      })
    },
  })

  return {
    async why(prompt, count = 5) {
      const { list, match } = await opened.look(prompt)
      const { threshold } = store.config
      const all = statuses(store.records)
      const nearest = list.slice(0, count).map((own) => {
        const { record } = all.find((one) => one.record.number === own.number)!
        const subject = opened.active().find(({ number }) => number === own.number)!.subject
        return {
          ...own,
          isAbove: own.overlap >= threshold,
          prompt: record.prompt,
          target: record.target,
          ...(subject !== undefined && { subject }),
        }
      })
      return { answer: match?.number ?? null, threshold, nearest }
    },
    ...asked({}),
    unedited: asked({ edit: null }),
    thread() {
      let passage: Passage | undefined
      return {
        async continue(given, about, options) {
          const engine = await opened.engine()
          const found = await after(about, {}, async ({ edit }) => edit)
          const before = passage?.edit === found ? passage : undefined
          if (passage && !before) engine.release(passage)
          passage = undefined
          let at = before ? engine.shorten(before, given) : 0
          let own = before
          let logits: Float32Array | undefined
          for (; at < given.length; at += chunk) {
            const part = given.slice(at, at + chunk)
            if (own) logits = await engine.extend(own, part, [part.length - 1])
            else {
              own = await opened.begin(part, { edit: found })
              logits = own.logits
            }
          }
          const now = own!
          const session = {
            ids: now.ids,
            prefill: async () => logits!,
            decode: (id: number) => engine.extend(now, [id], [0]),
          }
          const made = await generateWith(session, model.context, { ...options, ids: given })
          // kept only when nothing went wrong
          passage = now
          return { ...made, edit: found }
        },
      }
    },
    async scoreText(text, promptTokens) {
      const ids = opened.promptIds(text)
      const count = promptTokens ?? ids.length
      if (!(Number.isInteger(count) && count >= 1 && count <= ids.length))
        fail('TL_BAD_ARGUMENT', `promptTokens: expected 1 to ${ids.length}, got ${count}`)
      const rest = ids.slice(count)
      const isWhole = typeof text === 'string' && rest.length === 0
      const rows = Array.from({ length: count }, (_, t) => t)
      return after(isWhole ? text : ids.slice(0, count), { rows }, async (passage) => {
        const more =
          rest.length > 0
            ? await (await opened.engine()).extend(passage, rest, [...rest.keys()])
            : new Float32Array()
        const at = (t: number): Float32Array =>
          t < count ? rowOf(passage.logits, t) : rowOf(more, t - count)
        const logProbabilities = ids.slice(1).map((id, t) => logProbabilityOf(at(t), id))
        return { edit: passage.edit, ids, logProbabilities, next: at(ids.length - 1) }
      })
    },
    logits: (prompt) => after(prompt, {}, async ({ edit, logits }) => ({ edit, logits })),
  }
}
