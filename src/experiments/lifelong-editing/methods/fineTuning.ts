/**
 * @file Fine-tuning of one down projection on each fact in turn (EasyEdit, hparams/FT): FT-L predicts every token of the target
 * from the last token of the prompt (Meng et al. 2022), FT-M each from what precedes it.
 */
import { descend } from './adam.ts'
import { batchOf, heldChange, plus } from './edited.ts'
import { openHalves } from './halves.ts'
import { type EditingMethod, scaledLayer } from './method.ts'
import type { Wanted } from './slope.ts'

/** Adam's rate, most steps, and the loss below which no step is made. */
const fineTuningConstants = { layer: 21, rate: 5e-4, steps: 25, stop: 1e-2 } as const

/** Rows and labels of the loss; the sequence is the prompt, for FT-M followed by all of the target but its last token. */
export function fineTuningRows(
  objective: 'prompt-last' | 'target',
  promptTokens: number,
  target: readonly number[],
): Wanted[] {
  return target.map((label, j) => ({
    at: promptTokens - 1 + (objective === 'target' ? j : 0),
    label,
    weight: 1 / target.length,
  }))
}

const fineTuning = (title: string, objective: 'prompt-last' | 'target', about: string): EditingMethod => ({
  name: title.toLowerCase(),
  title,
  about: `${about}; Adam ${fineTuningConstants.rate}, ${fineTuningConstants.steps} steps or loss < ${fineTuningConstants.stop}, block 21 of 32`,
  source: 'EasyEdit hparams/FT/llama3-8b.yaml; Meng et al. 2022, Zhang et al. 2024',
  async open(model, words, options = {}) {
    const { rate, stop } = fineTuningConstants
    const { layer = scaledLayer(fineTuningConstants.layer, model.config.layers) } = options
    const { steps: most = fineTuningConstants.steps } = options
    const halves = await openHalves(model, layer)
    const held = heldChange(halves, words)
    const { ids } = held
    return {
      layer,
      ...held.questions,
      async teach({ prompt, target }) {
        const before = ids.promptIds(prompt)
        const wantedIds = ids.targetIds(prompt, target)
        const sequence = objective === 'target' ? [...before, ...wantedIds.slice(0, -1)] : before
        const { a, x } = await batchOf(halves, [sequence])
        const wanted = fineTuningRows(objective, before.length, wantedIds)
        const own = held.change()
        let loss = Number.POSITIVE_INFINITY
        const steps = await descend(own, {
          rate,
          most,
          async slope() {
            const { losses, gradient } = await halves.slope(plus(x, await halves.apply(a, own)), 1, wanted)
            loss = losses.reduce((s, l) => s + l, 0) / losses.length
            return loss < stop ? undefined : halves.outer(a, gradient)
          },
        })
        return { steps, loss }
      },
      reset: held.reset,
      dispose: halves.dispose,
    }
  },
})

export const ftL = fineTuning('FT-L', 'prompt-last', 'the target from the last token of the prompt')
export const ftM = fineTuning('FT-M', 'target', 'cross-entropy of the target after the prompt')
