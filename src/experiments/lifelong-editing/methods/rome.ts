/**
 * @file ROME (Meng et al. 2022): the down projection of one early block as a linear memory. A new output v* for the key of the
 * subject's last token is found by descent, and written by an update of rank one. Without the second moment of keys
 * (`mom2_adjustment: false`, as EasyEdit has it for Llama).
 */
import { fail } from '../../../base/index.ts'
import { addTo, heldChange } from './edited.ts'
import { openHalves } from './halves.ts'
import { type EditingMethod, scaledLayer } from './method.ts'
import { type Anchoring, askedOf, findValue, normOf, outputOf } from './value.ts'

const romeConstants = {
  layer: 5,
  rate: 0.5,
  steps: 25,
  stop: 5e-2,
  divergence: 0.0625,
  decay: 1e-3,
  clamp: 4,
} as const

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

/** ROME, its new values changed by `anchoring` before they are written. */
export const romeWith = (about: Omit<EditingMethod, 'open'>, anchoring?: Anchoring): EditingMethod => ({
  ...about,
  async open(
    model,
    words,
    {
      contexts = [],
      layer = scaledLayer(romeConstants.layer, model.config.layers),
      steps = romeConstants.steps,
    } = {},
  ) {
    const halves = await openHalves(model, layer)
    const { hidden } = halves
    const held = heldChange(halves, words)
    const { ids } = held
    const anchor = await anchoring?.(halves, words, ids)
    return {
      layer,
      ...held.questions,
      async teach(lesson) {
        const asked = await askedOf(halves, words, ids, lesson, contexts)
        const { batch, rows } = asked
        const change = held.change()
        const current = batch.x.slice()
        addTo(current, await halves.apply(batch.a, change))
        const keyOf = (row: number): Float32Array => batch.a.slice(row * hidden, (row + 1) * hidden)
        const key = keyOf(rows[0]!)
        const value = await outputOf(halves, key, change)
        const constants = { ...romeConstants, steps }
        const found = await findValue(halves, asked, current, normOf(value), constants)
        const { nll, steps: taken } = found
        const delta = anchor?.(value, found.delta) ?? found.delta
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
        return { steps: taken, loss: nll }
      },
      reset: held.reset,
      dispose: halves.dispose,
    }
  },
})

export const rome = romeWith({
  name: 'rome',
  title: 'ROME',
  about:
    'rank-one update of the down projection of block 5 of 32; v* by Adam 0.5, 25 steps or loss < 0.05, KL 0.0625, decay 1e-3, ‖δ‖ ≤ 4 ‖v₀‖; no second moment',
  source: 'Meng et al. 2022; EasyEdit hparams/ROME/llama3-8b.yaml',
})
