/**
 * @file The new value of a fact, for ROME, MEMIT and AlphaEdit: a vector δ added to the stream at the subject's last token,
 * found by descent, with which the model says the target.
 */
import type { Texts, Words } from '../../../edit/index.ts'
import { logProbabilities, tokensUpTo } from '../../../lm/index.ts'
import { descend } from './adam.ts'
import { addTo, type Batch, batchOf } from './edited.ts'
import type { Halves } from './halves.ts'
import type { Lesson } from './method.ts'
import type { Wanted } from './slope.ts'

export interface ValueConstants {
  readonly rate: number
  /** Adam makes at most one step less: after the last one there is only a look at the loss. */
  readonly steps: number
  /** The loss below which δ is good enough. */
  readonly stop: number
  /** Weight of KL(p ‖ before) at the subject's last token of “{subject} is a”. */
  readonly divergence: number
  /** Weight of ‖δ‖ / ‖v₀‖². */
  readonly decay: number
  /** Largest ‖δ‖ over ‖v₀‖. */
  readonly clamp: number
}

/** δ of a value v₀, both [width], as it is to be written. */
export type Anchor = (value: Float32Array, delta: Float32Array) => Float32Array

/** A rule for values, made once from the unedited model cut behind the block whose projection gives them. */
export type Anchoring = (halves: Halves, words: Words, ids: Texts) => Promise<Anchor>

/** What the edited projection behind the cut gives for a key [hidden]: v₀ [width]. */
export async function outputOf(
  halves: Halves,
  key: Float32Array,
  change?: Float32Array,
): Promise<Float32Array> {
  const own = await halves.apply(key, halves.weight)
  const edited = change && (await halves.apply(key, change))
  return own.map((v, j) => v + (edited ? edited[j]! : 0) + (halves.bias?.[j] ?? 0))
}

export const normOf = (x: ArrayLike<number>): number => {
  let total = 0
  for (let i = 0; i < x.length; i++) total += x[i]! ** 2
  return Math.sqrt(total)
}

/** Where the subject ends in a text, as the place of a token; the last token when it is not named. */
export function subjectToken(words: Words, text: string, subject: string | undefined): number {
  const at = subject ? text.toLowerCase().indexOf(subject.toLowerCase()) : -1
  return tokensUpTo(words, text, subject && at >= 0 ? at + subject.length : text.length) - 1
}

/** Put δ back on the ball of radius `most`. */
export function projectToBall(delta: Float32Array, most: number): void {
  const norm = normOf(delta)
  if (norm > most) for (let i = 0; i < delta.length; i++) delta[i]! *= most / norm
}

/** The texts of a lesson side by side: its prompt, the prompt after each context, and “{subject} is a”. */
interface Asked {
  readonly batch: Batch
  /** Tokens of the last of the texts. */
  readonly essence: number
  /** The subject's last token of each text, as a row of the batch. */
  readonly rows: readonly number[]
  readonly wanted: readonly Wanted[]
}

export async function askedOf(
  halves: Halves,
  words: Words,
  ids: Texts,
  { prompt, target, subject }: Lesson,
  contexts: readonly string[],
): Promise<Asked> {
  const texts = [prompt, ...contexts.map((context) => `${context} ${prompt}`)]
  const essence = `${subject ?? prompt} is a`
  const prompts = texts.map((text) => ids.promptIds(text))
  const targets = texts.map((text) => ids.targetIds(text, target))
  const last = ids.promptIds(essence)
  const sequences = [...prompts.map((p, b) => [...p, ...targets[b]!.slice(0, -1)]), last]
  const batch = await batchOf(halves, sequences)
  return {
    batch,
    essence: last.length,
    rows: [...texts, essence].map((text, b) => b * batch.length + subjectToken(words, text, subject)),
    wanted: prompts.flatMap((p, b) =>
      targets[b]!.map(
        (label, j, own): Wanted => ({
          at: b * batch.length + p.length - 1 + j,
          label,
          weight: 1 / own.length / prompts.length,
        }),
      ),
    ),
  }
}

/**
 * δ of least mean NLL of the target + `divergence` · KL on the essence prompt + `decay` · ‖δ‖ / `scale`², by Adam from 0.
 * `current` is the stream of the batch with all edits so far, `scale` is ‖v₀‖.
 */
export async function findValue(
  halves: Halves,
  { batch, essence, rows, wanted }: Asked,
  current: Float32Array,
  scale: number,
  { rate, steps: most, stop, divergence: klWeight, decay, clamp }: ValueConstants,
): Promise<{ delta: Float32Array; steps: number; nll: number }> {
  const { width } = halves
  // what the essence prompt says before this edit, at the subject's last token
  const at = rows.at(-1)!
  const from = (batch.size - 1) * batch.length
  const text = halves.text(essence)
  const initial = Float32Array.from(
    logProbabilities(
      await halves.above(text, current.slice(from * width, (from + essence) * width), [at - from]),
    ),
  )
  const delta = new Float32Array(width)
  let nll = 0
  const steps = await descend(delta, {
    rate,
    most,
    async slope(step) {
      const stream = current.slice()
      for (const row of rows) for (let j = 0; j < width; j++) stream[row * width + j]! += delta[j]!
      const stay = { at, initial, weight: klWeight }
      const { losses, divergence, gradient } = await halves.slope(stream, batch.size, wanted, stay)
      const size = normOf(delta)
      nll = losses.reduce((s, l, i) => s + l * wanted[i]!.weight, 0)
      const loss = nll + klWeight * divergence + (decay * size) / scale ** 2
      if (loss < stop || step === most - 1) return undefined
      const slope = new Float32Array(width)
      for (const row of rows) addTo(slope, gradient.subarray(row * width, (row + 1) * width))
      if (size > 0) for (let j = 0; j < width; j++) slope[j]! += (decay * delta[j]!) / size / scale ** 2
      return slope
    },
    project: () => projectToBall(delta, clamp * scale),
  })
  return { delta, steps, nll }
}
