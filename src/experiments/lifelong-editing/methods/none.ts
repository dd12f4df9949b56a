/** @file No edit: what the model says by itself. */
import { askable } from './edited.ts'
import { openHalves } from './halves.ts'
import type { EditingMethod } from './method.ts'

export const none: EditingMethod = {
  name: 'none',
  title: 'no edit',
  about: 'the model as it is',
  source: '',
  async open(model, words) {
    const halves = await openHalves(model, 0)
    const { score, generate, inChat, logits } = askable(halves, words, () => null)
    return {
      layer: undefined,
      ...{ score, generate, inChat, logits },
      teach: async ({ prompt, target }) => {
        const { logProbabilities } = await score(prompt, target)
        return { steps: 0, loss: -logProbabilities.reduce((a, b) => a + b, 0) / logProbabilities.length }
      },
      reset: async () => undefined,
      dispose: halves.dispose,
    }
  },
}
