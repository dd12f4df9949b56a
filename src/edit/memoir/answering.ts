/** @file Asking a model with a store: route on the prompt, answer under the mask that was found. */
import { fail } from '../../base/index.ts'
import {
  argmaxOf,
  type Generated,
  type GenerateOptions,
  generateWith,
  logProbabilityOf,
} from '../../lm/index.ts'
import { numbersOf } from './masks.ts'
import type { Opened, Prompt, Seen } from './opened.ts'
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
  /** The most probable token in the place of each, edited and unedited. */
  readonly best: readonly number[]
  readonly targetIds: readonly number[]
  readonly unedited: readonly number[]
}

export interface Answering {
  why(prompt: string, count?: number): Promise<Why>
  /** What follows a prompt, routed on it. */
  generate(prompt: Prompt, options: AnswerOptions): Promise<Answered>
  /** The same with the memory silent. */
  unedited(prompt: Prompt, options: AnswerOptions): Promise<Answered>
  /** A target after a prompt, teacher-forced, routed on the prompt. */
  score(prompt: string, target: string): Promise<TargetScore>
  /** How probable a text is, routed on its first `promptTokens` tokens (default all of them). */
  scoreText(text: Prompt, promptTokens?: number): Promise<TextScore>
  /** Logits after the last token of a prompt, [vocabulary], routed. */
  logits(prompt: string): Promise<{ edit: number | null; logits: Float32Array }>
}

/** Answers of an opened store. */
export function answeringOf(opened: Opened): Answering {
  const { model, words, store } = opened
  const { hidden, vocabulary } = model.config
  const silent = new Float32Array(hidden)

  /** The prompt under the mask that routing found: logits of the last row, and the mask for what follows. */
  async function answer(
    prompt: Prompt,
    room: number,
  ): Promise<Seen & { logits: Float32Array; under: Float32Array; edit: number | null }> {
    const seen = await opened.look(prompt, room)
    const { match, passage, ids } = seen
    if (!match) return { ...seen, logits: passage.logits, under: silent, edit: null }
    const under = numbersOf(opened.active().find(({ number }) => number === match.number)!.mask, hidden)
    const logits = await (await opened.engine()).edited(passage, under, [ids.length - 1])
    return { ...seen, logits, under, edit: match.number }
  }
  async function continued(
    { ids: promptIds, passage }: Seen,
    { logits, under, edit }: { logits: Float32Array; under: Float32Array; edit: number | null },
    { stopAtEos = true, ...options }: AnswerOptions,
  ): Promise<Answered> {
    const engine = await opened.engine()
    const session = {
      ids: passage.ids,
      prefill: async () => logits,
      decode: (id: number) => engine.extend(passage, [id], under, [0]),
    }
    const stopIds = stopAtEos ? words.eosIds : []
    const { ids, finish } = await generateWith(session, model.context, {
      ...options,
      ids: promptIds,
      stopIds,
    })
    return { edit, promptIds, ids, text: words.decode(ids, { continues: true }), finish }
  }

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
    generate: async (prompt, own) => {
      const answered = await answer(prompt, own.maxTokens)
      return continued(answered, answered, own)
    },
    unedited: async (prompt, own) => {
      const seen = await opened.look(prompt, own.maxTokens)
      return continued(seen, { logits: seen.passage.logits, under: silent, edit: null }, own)
    },
    async score(prompt, target) {
      const targets = opened.targetIds(target, opened.promptIds(prompt).length)
      const rest = targets.slice(0, -1)
      const rows = rest.map((_, i) => i)
      const { passage, under, edit, logits } = await answer(prompt, rest.length)
      const best: number[] = []
      const logProbabilities: number[] = []
      const take = (own: Float32Array, i: number): void => {
        best.push(argmaxOf(own))
        logProbabilities.push(logProbabilityOf(own, targets[i]!))
      }
      take(logits, 0)
      const start = [...passage.ids]
      const engine = await opened.engine()
      if (rest.length > 0) {
        const after = await engine.extend(passage, rest, under, rows)
        for (const i of rows) take(after.subarray(i * vocabulary, (i + 1) * vocabulary), i + 1)
      }
      let unedited: readonly number[] = best
      if (edit !== null) {
        const plain = await engine.read(start, [start.length - 1], rest.length)
        const own = [argmaxOf(plain.logits)]
        if (rest.length > 0) {
          const after = await engine.extend(plain, rest, silent, rows)
          for (const i of rows) own.push(argmaxOf(after.subarray(i * vocabulary, (i + 1) * vocabulary)))
        }
        unedited = own
      }
      return { edit, logProbabilities, best, targetIds: targets, unedited }
    },
    async scoreText(text, promptTokens) {
      const ids = opened.promptIds(text)
      const count = promptTokens ?? ids.length
      if (!(Number.isInteger(count) && count >= 1 && count <= ids.length))
        fail('TL_BAD_ARGUMENT', `promptTokens: expected 1 to ${ids.length}, got ${count}`)
      const rest = ids.slice(count)
      const isWhole = typeof text === 'string' && rest.length === 0
      const { passage, under, edit } = await answer(isWhole ? text : ids.slice(0, count), rest.length)
      const engine = await opened.engine()
      const rows = Array.from({ length: count }, (_, t) => t)
      const parts = [await engine.edited(passage, under, rows)]
      if (rest.length > 0) parts.push(await engine.extend(passage, rest, under, [...rest.keys()]))
      const all = parts.flatMap((part) =>
        Array.from({ length: part.length / vocabulary }, (_, t) =>
          part.subarray(t * vocabulary, (t + 1) * vocabulary),
        ),
      )
      const logProbabilities = ids.slice(1).map((id, t) => logProbabilityOf(all[t]!, id))
      return { edit, ids, logProbabilities, next: all.at(-1)! }
    },
    logits: async (prompt) => {
      const { edit, logits } = await answer(prompt, 0)
      return { edit, logits }
    },
  }
}
