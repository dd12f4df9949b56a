/**
 * @file ROME (Meng et al. 2022): the down projection of one early block as a linear memory. A new output v* for the key of the
 * subject's last token is found by descent, and written by an update of rank one. Without the second moment of keys
 * (`mom2_adjustment: false`, as EasyEdit has it for Llama).
 */
import { fail } from '../../base/index.ts'
import { logProbabilities } from '../../lm/index.ts'
import { adam } from './adam.ts'
import { addTo, askable, batchOf } from './edited.ts'
import { lengthStep, openHalves, type Wanted } from './halves.ts'
import { type EditingMethod, scaledLayer, type Words } from './method.ts'

export const romeConstants = {
  layer: 5,
  rate: 0.5,
  steps: 25,
  stop: 5e-2,
  divergence: 0.0625,
  decay: 1e-3,
  /** Largest ‖δ‖ over ‖v₀‖. */
  clamp: 4,
} as const

const normOf = (x: ArrayLike<number>): number => {
  let total = 0
  for (let i = 0; i < x.length; i++) total += x[i]! ** 2
  return Math.sqrt(total)
}

/** Where the subject ends in a text, as the place of a token; the last token when it is not named. */
export function subjectToken(words: Words, text: string, subject: string | undefined): number {
  const ids = words.encode(text, { bos: words.addsBos })
  const at = subject ? text.toLowerCase().indexOf(subject.toLowerCase()) : -1
  if (!subject || at < 0) return ids.length - 1
  const upTo = words.encode(text.slice(0, at + subject.length), { bos: words.addsBos })
  return Math.min(ids.length, upTo.length) - 1
}

/** ΔW = u ⊗ δ / (k · u), [hidden, width]: whatever W was, k (W + ΔW) = k W + δ. */
export function rankOne(u: ArrayLike<number>, k: ArrayLike<number>, delta: ArrayLike<number>): Float32Array {
  let dot = 0
  for (let i = 0; i < k.length; i++) dot += k[i]! * u[i]!
  if (!(Math.abs(dot) > 0)) fail('TL_NOT_FINITE', `ROME: the key of the subject is ${dot} along itself`)
  const out = new Float32Array(u.length * delta.length)
  for (let i = 0; i < u.length; i++)
    for (let j = 0; j < delta.length; j++) out[i * delta.length + j] = (u[i]! / dot) * delta[j]!
  return out
}

/** Put δ back on the ball of radius `most`. */
export function projectToBall(delta: Float32Array, most: number): void {
  const norm = normOf(delta)
  if (norm > most) for (let i = 0; i < delta.length; i++) delta[i]! *= most / norm
}

export const rome: EditingMethod = {
  name: 'rome',
  title: 'ROME',
  about:
    'rank-one update of the down projection of block 5 of 32; v* by Adam 0.5, 25 steps or loss < 0.05, KL 0.0625, decay 1e-3, ‖δ‖ ≤ 4 ‖v₀‖; no second moment',
  source: 'Meng et al. 2022; EasyEdit hparams/ROME/llama3-8b.yaml',
  async open(
    model,
    words,
    {
      contexts = [],
      layer = scaledLayer(romeConstants.layer, model.config.layers),
      steps: most = romeConstants.steps,
    } = {},
  ) {
    const { rate, stop, divergence: klWeight, decay, clamp } = romeConstants
    const halves = await openHalves(model, layer)
    const { hidden, width } = halves
    /** W − W₀ */
    let change: Float32Array | undefined
    const { ids, ...questions } = askable(halves, words, () => {
      const own = change
      if (!own) return null
      return { edit: 0, change: async ({ a, x }) => addTo(x, await halves.apply(a, own)) }
    })
    return {
      layer,
      ...questions,
      async teach({ prompt, target, subject }) {
        const texts = [prompt, ...contexts.map((context) => `${context} ${prompt}`)]
        const essence = `${subject ?? prompt} is a`
        const prompts = texts.map((text) => ids.prompt(text))
        const targetIds = ids.target(target, Math.max(...prompts.map((p) => p.length)))
        const sequences = [...prompts.map((p) => [...p, ...targetIds.slice(0, -1)]), ids.prompt(essence)]
        const batch = await batchOf(halves, sequences, lengthStep)
        const rows = [...texts, essence].map(
          (text, b) => b * batch.length + subjectToken(words, text, subject),
        )
        const wanted = prompts.flatMap((p, b) =>
          targetIds.map(
            (label, j): Wanted => ({
              at: b * batch.length + p.length - 1 + j,
              label,
              weight: 1 / targetIds.length / prompts.length,
            }),
          ),
        )
        change ??= new Float32Array(hidden * width)
        const current = batch.x.slice()
        addTo(current, await halves.apply(batch.a, change))
        const keyOf = (row: number): Float32Array => batch.a.slice(row * hidden, (row + 1) * hidden)
        const key = keyOf(rows[0]!)
        const [own, edited] = [await halves.apply(key, halves.weight), await halves.apply(key, change)]
        const scale = normOf(own.map((v, j) => v + edited[j]! + (halves.bias?.[j] ?? 0)))
        // what the essence prompt says before this edit, at the subject's last token
        const essenceAt = rows.at(-1)!
        const from = (sequences.length - 1) * batch.length
        const text = halves.text(sequences.at(-1)!.length)
        text.length = sequences.at(-1)!.length
        const initial = Float32Array.from(
          logProbabilities(
            await halves.above(text, current.slice(from * width, (from + text.length) * width), [
              essenceAt - from,
            ]),
          ),
        )
        const delta = new Float32Array(width)
        const optimizer = adam(width)
        let [steps, nll] = [0, 0]
        for (; steps < most; steps++) {
          const stream = current.slice()
          for (const row of rows) for (let j = 0; j < width; j++) stream[row * width + j]! += delta[j]!
          const { losses, divergence, gradient } = await halves.slope(stream, batch.size, wanted, {
            at: essenceAt,
            initial,
            weight: klWeight,
          })
          const size = normOf(delta)
          nll = losses.reduce((s, l, i) => s + l * wanted[i]!.weight, 0)
          const loss = nll + klWeight * divergence + (decay * size) / scale ** 2
          if (loss < stop || steps === most - 1) break
          const slope = new Float32Array(width)
          for (const row of rows) for (let j = 0; j < width; j++) slope[j]! += gradient[row * width + j]!
          if (size > 0) for (let j = 0; j < width; j++) slope[j]! += (decay * delta[j]!) / size / scale ** 2
          optimizer.step(delta, slope, rate)
          projectToBall(delta, clamp * scale)
        }
        const u = new Float32Array(hidden)
        for (const row of rows.slice(0, -1)) addTo(u, keyOf(row))
        const length = normOf(u)
        addTo(
          change,
          rankOne(
            u.map((v) => v / length),
            key,
            delta,
          ),
        )
        return { steps, loss: nll }
      },
      reset: async () => {
        change = undefined
      },
      dispose: halves.dispose,
    }
  },
}
