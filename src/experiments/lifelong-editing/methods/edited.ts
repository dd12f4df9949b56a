/** @file A model in two pieces with a rule for what stands between them: scores, continuations, logits. */
import { type Prompt, type Texts, textsOf, type Words } from '../../../edit/index.ts'
import { argmaxOf, logProbabilityOf } from '../../../lm/index.ts'
import type { Between, Halves, Text } from './halves.ts'
import type { EditedModel } from './method.ts'

/** What a method does to a text, decided once on its prompt. */
interface Answer {
  /** The edit that answers, 0 for all together. */
  readonly edit: number
  /** Change the stream of some tokens in place; the first of them is token `from` of the text. */
  readonly change: (tokens: Between, from: number) => Promise<void> | void
}

/** Decide on the prompt; null: the model as it was. */
type Decide = (prompt: Between) => Promise<Answer | null> | Answer | null

/** All that can be asked of an edited model; `decide` is called anew for every question. */
export function askable(
  halves: Halves,
  words: Words,
  decide: Decide,
): Pick<EditedModel, 'score' | 'generate' | 'inChat' | 'logits'> & { readonly ids: Texts } {
  const { model } = halves
  const { vocabulary } = model.config
  const ids = textsOf(words, model.context)

  async function begin(prompt: Prompt, room: number) {
    const given = ids.promptIds(prompt)
    const text = halves.text(given.length + room)
    const tokens = await halves.below(text, given)
    const answer = await decide(tokens)
    await answer?.change(tokens, 0)
    const logits = await halves.above(text, tokens.x, [given.length - 1])
    return { text, answer, logits }
  }
  /** More tokens of a text, all of whose rows reach the head. */
  async function more(text: Text, answer: Answer | null, given: readonly number[]): Promise<Float32Array> {
    const from = text.length
    const tokens = await halves.below(text, given)
    await answer?.change(tokens, from)
    return halves.above(
      text,
      tokens.x,
      given.map((_, i) => i),
    )
  }
  async function generate(
    prompt: Prompt,
    { maxTokens, stopAtEos = true }: { readonly maxTokens: number; readonly stopAtEos?: boolean },
  ) {
    const { text, answer, logits: first } = await begin(prompt, maxTokens)
    const made: number[] = []
    for (let logits = first; ; ) {
      const id = argmaxOf(logits)
      if (stopAtEos && words.eosIds.includes(id)) break
      made.push(id)
      if (made.length === maxTokens || text.length === model.context) break
      logits = await more(text, answer, [id])
    }
    return { ids: made, text: words.decode(made, { continues: true, cut: true }) }
  }
  return {
    ids,
    generate,
    inChat: (_, conversation, options) => generate(conversation, options),
    async score(prompt, target, options) {
      const targetIds = ids.targetIds(prompt, target)
      const rest = targetIds.slice(0, -1)
      // the prompt first and then the target, as when it is generated: decisions see the prompt alone
      const { text, answer, logits } = await begin(prompt, rest.length)
      const after = rest.length > 0 ? await more(text, answer, rest) : new Float32Array()
      const row = (i: number): Float32Array =>
        i === 0 ? logits : after.subarray((i - 1) * vocabulary, i * vocabulary)
      return {
        edit: answer?.edit ?? null,
        targetIds,
        best: targetIds.map((_, i) => argmaxOf(row(i))),
        logProbabilities: targetIds.map((id, i) => logProbabilityOf(row(i), id)),
        ...(options?.logits && { logits: targetIds.map((_, i) => row(i).slice()) }),
      }
    },
    logits: async (prompt) => (await begin(prompt, 0)).logits,
  }
}

/** A change of the one matrix behind which the model is cut, W − W₀, that answers every question once there is one. */
export function heldChange(halves: Halves, words: Words) {
  let change: Float32Array | undefined
  const { ids, ...questions } = askable(halves, words, () => {
    const own = change
    if (!own) return null
    return { edit: 0, change: async ({ a, x }) => addTo(x, await halves.apply(a, own)) }
  })
  return {
    ids,
    questions,
    /** [hidden, width], zeros at first: written in place. */
    change(): Float32Array {
      change ??= new Float32Array(halves.hidden * halves.width)
      return change
    },
    reset: async () => {
      change = undefined
    },
  }
}

/**
 * The same for several down projections: `blocks`, ascending, the last of them behind the cut of `plain` and the others its
 * inner ones.
 */
export function heldChanges(plain: Halves, blocks: readonly number[], words: Words) {
  /** W − W₀ of each block; none before the first edit. */
  let changes: Float32Array[] | undefined
  const edit = async (tokens: Between, at: number): Promise<void> => {
    if (changes) addTo(tokens.x, await plain.apply(tokens.a, changes[at]!))
  }
  const halves: Halves = {
    ...plain,
    below: (own, ids) => plain.below(own, ids, (tokens, block) => edit(tokens, blocks.indexOf(block))),
  }
  const { ids, ...questions } = askable(halves, words, () =>
    changes ? { edit: 0, change: (tokens) => edit(tokens, blocks.length - 1) } : null,
  )
  return {
    ids,
    questions,
    /** With the changes of all blocks but the last, which is behind the cut. */
    halves,
    /** Add to the stream behind block `at` of `blocks` what its change makes of the inputs there. */
    edit,
    /** [hidden, width] of each block, zeros at first: written in place. */
    changes(): Float32Array[] {
      changes ??= blocks.map(() => new Float32Array(plain.hidden * plain.width))
      return changes
    },
    reset: async () => {
      changes = undefined
    },
  }
}

/** Sequences side by side, padded on the right with zeros to one length. */
export interface Batch {
  readonly size: number
  readonly length: number
  /** [size, length, hidden] and [size, length, width]: unedited. */
  readonly a: Float32Array
  readonly x: Float32Array
  /** Tokens of each sequence. */
  readonly tokens: readonly number[]
}

/** Put sequences that went through the lower piece side by side. */
export function sideBySide({ hidden, width }: Halves, sequences: readonly Between[]): Batch {
  const tokens = sequences.map(({ x }) => x.length / width)
  const length = Math.max(...tokens)
  const a = new Float32Array(sequences.length * length * hidden)
  const x = new Float32Array(sequences.length * length * width)
  for (const [b, own] of sequences.entries()) {
    a.set(own.a, b * length * hidden)
    x.set(own.x, b * length * width)
  }
  return { size: sequences.length, length, a, x, tokens }
}

/** Take whole sequences through the lower piece. */
export async function batchOf(halves: Halves, sequences: readonly (readonly number[])[]): Promise<Batch> {
  const taken: Between[] = []
  for (const ids of sequences) taken.push(await halves.below(halves.text(ids.length), ids))
  return sideBySide(halves, taken)
}

/** x + y, a new array. */
export const plus = (x: Float32Array, y: Float32Array): Float32Array => x.map((v, i) => v + y[i]!)

export const addTo = (x: Float32Array, y: Float32Array): void => {
  for (let i = 0; i < x.length; i++) x[i]! += y[i]!
}
