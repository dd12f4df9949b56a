/** @file Asking a model with a store: route on the prompt, answer under the mask that was found. */
import { fail } from '../../base/index.ts'
import {
  argmaxOf,
  type Generated,
  type GenerateOptions,
  generateWith,
  logProbabilityOf,
} from '../../lm/index.ts'
import { statuses } from '../store/index.ts'
import type { Beginning, EditorContext } from './editorContext.ts'
import type { Passage } from './engine.ts'
import type { Prompt } from './requests.ts'
import type { Match } from './router.ts'

export interface Why {
  /** The edit that answers; null: the model as it was. */
  readonly answer: number | null
  readonly threshold: number
  readonly nearest: readonly (Match & {
    /** The least overlap at which this edit answers: where its scope decides, little more than chance. */
    readonly threshold: number
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

/**
 * What an edit's answer goes on after. `as-taught`: the prompt that the edit was taught with, for as many tokens as its target
 * has; small models say a target after other words far less often. `as-asked`: the words that were asked, as the paper has it.
 */
export const answerModes = ['as-taught', 'as-asked'] as const
export type AnswerMode = (typeof answerModes)[number]

/** How to continue; greedy unless a temperature is given. */
export interface AnswerOptions extends Omit<GenerateOptions, 'ids' | 'stopIds'> {
  /** Default true. */
  readonly stopAtEos?: boolean
  /** Default `as-taught`. */
  readonly answer?: AnswerMode
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
  /** Where they are asked for: logits in the place of each, [vocabulary] each. */
  readonly logits?: readonly Float32Array[]
}

export interface Asked {
  /** What follows a prompt. */
  generate(prompt: Prompt, options: AnswerOptions): Promise<Answered>
  /** A target after a prompt, teacher-forced. */
  score(prompt: string, target: string, options?: { readonly logits?: boolean }): Promise<TargetScore>
}

/** One conversation. What its texts share is kept in between. */
export interface Thread {
  /**
   * Answer a message, routed on it alone: the edit that answers goes on after the prompt it was taught with, for as many tokens
   * as its target has. Where none does, the model as it was continues `ids`, the conversation in the form it knows.
   */
  answer(
    message: string | undefined,
    options: GenerateOptions,
  ): Promise<Generated & { readonly edit: number | null }>
}

export interface Answering extends Asked {
  readonly canAnswerAsTaught: true
  why(prompt: string, count?: number): Promise<Why>
  /** The edits nearest to a prompt, without asking which of them answers. */
  nearest(prompt: string, count?: number): Promise<Why['nearest']>
  /** The same questions with the memory silent. */
  readonly unedited: Asked
  /**
   * The same questions, each answered by this edit, whatever routing finds; null: by none. Throws `TL_BAD_ARGUMENT` for an edit
   * that does not stand.
   */
  answeredBy(edit: number | null): Asked
  thread(): Thread
  /**
   * How probable a text is, routed on its first `promptTokens` tokens (default all of them), which are those of `prompt` where
   * it is given: the gate reads a text, and decoded ids may lack what the tokenizer has no token for.
   */
  scoreText(text: Prompt, promptTokens?: number, prompt?: string): Promise<TextScore>
  /** Logits after the last token of a prompt, [vocabulary], routed. */
  logits(prompt: Prompt): Promise<{ edit: number | null; logits: Float32Array }>
}

/** Tokens that a thread takes in at once: what a long text needs beside its cache. */
const chunk = 512

/** Answers of an opened store. */
export function answeringOf(opened: EditorContext): Answering {
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

  /** Go on after a passage, whose last token gave these logits. */
  async function continued(
    passage: Passage,
    options: Omit<GenerateOptions, 'ids'>,
    logits = passage.logits,
  ): Promise<Generated> {
    const engine = await opened.engine()
    const session = {
      ids: passage.ids,
      prefill: async () => logits,
      decode: (id: number) => engine.extend(passage, [id], [0]),
    }
    return generateWith(session, model.context, { ...options, ids: [...passage.ids] })
  }

  /** What an edit says after its own prompt; undefined where none answers. */
  async function taught(answers: number | null, options: Omit<GenerateOptions, 'ids'>) {
    const record = store.records.find((one) => one.event === 'edit' && one.number === answers)
    if (record?.event !== 'edit') return undefined
    return after(record.prompt, { edit: record.number }, async (own) => {
      const maxTokens = Math.min(options.maxTokens, record.targetTokens)
      const made = await continued(own, { ...options, maxTokens })
      // it has said what it was taught
      const isWhole = made.finish === 'length' && maxTokens === record.targetTokens
      return { ...made, finish: isWhole ? ('eos' as const) : made.finish, edit: own.edit }
    })
  }

  const asked = (own: Beginning): Asked => ({
    async generate(prompt, { stopAtEos = true, answer = 'as-taught', ...given }) {
      const options = { ...given, stopIds: stopAtEos ? words.eosIds : [] }
      const textOf = (ids: readonly number[]) => words.decode(ids, { continues: true, cut: true })
      return after(prompt, own, async (passage) => {
        const said = answer === 'as-taught' ? await taught(passage.edit, options) : undefined
        const { ids, finish } = said ?? (await continued(passage, options))
        return { edit: passage.edit, promptIds: [...passage.ids], ids, text: textOf(ids), finish }
      })
    },
    score(prompt, target, options) {
      const targetIds = opened.targetIds(prompt, target)
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
          ...(options?.logits && { logits: logits.map((row) => row.slice()) }),
        }
      })
    },
  })

  async function nearest(prompt: string, count = 5): Promise<Why['nearest']> {
    const { list } = await opened.look(prompt)
    const { threshold, ones } = store.config
    const all = statuses(store.records)
    return list.slice(0, count).map((own) => {
      const { record } = all.find((one) => one.record.number === own.number)!
      const edit = opened.active().find(({ number }) => number === own.number)!
      const { subject } = edit
      const least = opened.asking ? opened.asking.leastOnes(edit) / ones : threshold
      return {
        ...own,
        threshold: least,
        isAbove: own.overlap >= least,
        prompt: record.prompt,
        target: record.target,
        ...(subject !== undefined && { subject }),
      }
    })
  }

  return {
    nearest,
    why: async (prompt, count) => ({
      answer: await opened.who(prompt),
      threshold: store.config.threshold,
      nearest: await nearest(prompt, count),
    }),
    canAnswerAsTaught: true,
    ...asked({}),
    unedited: asked({ edit: null }),
    answeredBy(edit) {
      if (edit !== null && !opened.active().some(({ number }) => number === edit))
        fail('TL_BAD_ARGUMENT', `there is no active edit ${edit} to answer`)
      return asked({ edit })
    },
    thread() {
      let passage: Passage | undefined
      return {
        async answer(message, options) {
          const own = message?.trim()
          const found = own ? await taught(await opened.who(own), options) : undefined
          if (found) return found
          const engine = await opened.engine()
          let text = passage
          // kept only when nothing goes wrong
          passage = undefined
          const { ids } = options
          let at = text ? engine.shorten(text, ids) : Math.min(chunk, ids.length)
          text ??= await opened.begin(ids.slice(0, at), { edit: null })
          let { logits } = text
          for (; at < ids.length; at += chunk) {
            const part = ids.slice(at, at + chunk)
            logits = await engine.extend(text, part, [part.length - 1])
          }
          const made = await continued(text, options, logits)
          passage = text
          return { ...made, edit: null }
        },
      }
    },
    async scoreText(text, promptTokens, prompt) {
      const ids = opened.promptIds(text)
      const count = promptTokens ?? ids.length
      if (!(Number.isInteger(count) && count >= 1 && count <= ids.length))
        fail('TL_BAD_ARGUMENT', `promptTokens: expected 1 to ${ids.length}, got ${count}`)
      const rest = ids.slice(count)
      const isWhole = typeof text === 'string' && rest.length === 0
      const rows = Array.from({ length: count }, (_, t) => t)
      const routed = isWhole ? text : (prompt ?? ids.slice(0, count))
      return after(routed, { rows }, async (passage) => {
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
