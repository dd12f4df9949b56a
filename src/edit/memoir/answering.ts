/** @file Asking a model with a store: route on the prompt, answer under the mask that was found. */
import { argmaxOf, logProbabilityOf } from '../../lm/index.ts'
import type { Passage } from './engine.ts'
import { numbersOf } from './masks.ts'
import type { Opened, Seen } from './opened.ts'
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
  })[]
}

export interface Answered {
  /** The edit that answered, or null. */
  readonly edit: number | null
  readonly ids: readonly number[]
  readonly text: string
  readonly finish: 'eos' | 'length'
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
  /** Greedy continuation, routed on the prompt. */
  generate(prompt: string, options: { maxTokens: number; stopAtEos?: boolean }): Promise<Answered>
  /** The same with the memory silent. */
  unedited(prompt: string, options: { maxTokens: number; stopAtEos?: boolean }): Promise<Answered>
  /** A target after a prompt, teacher-forced, routed on the prompt. */
  score(prompt: string, target: string): Promise<TargetScore>
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
    prompt: string,
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
    passage: Passage,
    under: Float32Array,
    edit: number | null,
    first: Float32Array,
    { maxTokens, stopAtEos = true }: { maxTokens: number; stopAtEos?: boolean },
  ): Promise<Answered> {
    const ids: number[] = []
    let logits = first
    for (;;) {
      const id = argmaxOf(logits)
      const ended = stopAtEos && words.eosIds.includes(id)
      if (!ended) ids.push(id)
      if (ended || ids.length === maxTokens || passage.ids.length === model.context)
        return { edit, ids, text: words.decode(ids), finish: ended ? 'eos' : 'length' }
      logits = await (await opened.engine()).extend(passage, [id], under, [0])
    }
  }

  return {
    async why(prompt, count = 5) {
      const { list, match } = await opened.look(prompt)
      const { threshold } = store.config
      const all = statuses(store.records)
      const nearest = list.slice(0, count).map((own) => {
        const { record } = all.find((one) => one.record.number === own.number)!
        return { ...own, isAbove: own.overlap >= threshold, prompt: record.prompt, target: record.target }
      })
      return { answer: match?.number ?? null, threshold, nearest }
    },
    generate: async (prompt, own) => {
      const { passage, under, edit, logits } = await answer(prompt, own.maxTokens)
      return continued(passage, under, edit, logits, own)
    },
    unedited: async (prompt, own) => {
      const { passage } = await opened.look(prompt, own.maxTokens)
      return continued(passage, silent, null, passage.logits, own)
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
    logits: async (prompt) => {
      const { edit, logits } = await answer(prompt, 0)
      return { edit, logits }
    },
  }
}
