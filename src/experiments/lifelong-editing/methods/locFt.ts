/**
 * @file LocFT-BF (Yang et al. 2026, “Fine-tuning Done Right in Model Editing”): fine-tuning of one down projection, breadth
 * first. All facts are gone through epoch by epoch in mini-batches, with one optimizer, and each target ends in the token that
 * ends a text.
 */
import { fail } from '../../../base/index.ts'
import { random } from '../../../tensor/index.ts'
import { adam } from './adam.ts'
import { addTo, heldChange, plus, sideBySide } from './edited.ts'
import { type Between, type Halves, openHalves } from './halves.ts'
import { type EditingMethod, type Lesson, scaledLayer, type Taught } from './method.ts'
import type { Wanted } from './slope.ts'

/** Block, Adam's rate, epochs, facts of a mini-batch, and the loss below which a mini-batch makes no step and an epoch is the last. */
export const locFtConstants = { layer: 22, rate: 5e-4, epochs: 25, batch: 100, stop: 1e-2 } as const

/** Facts whose gradient is taken at once: the sum over a mini-batch is the same, its attention is not as large. */
const together = 8

/** A fact that went through the lower piece, which no edit changes. */
interface Example {
  readonly between: Between
  /** The first of its rows that is to predict: the prompt's last token. */
  readonly from: number
  readonly target: readonly number[]
}

/**
 * The loss of a mini-batch, the mean over facts of the mean over each target's tokens, in nats, and its gradient in the down
 * projection, [hidden, width]; `change` is W − W₀.
 */
async function slopeOf(
  halves: Halves,
  examples: readonly Example[],
  change: Float32Array,
): Promise<{ loss: number; losses: number[]; gradient: Float32Array }> {
  const gradient = new Float32Array(change.length)
  const losses: number[] = []
  for (let first = 0; first < examples.length; first += together) {
    const own = examples.slice(first, first + together)
    const { a, x, length, size } = sideBySide(
      halves,
      own.map(({ between }) => between),
    )
    const wanted = own.flatMap(({ from, target }, b) =>
      target.map(
        (label, j): Wanted => ({
          at: b * length + from + j,
          label,
          weight: 1 / target.length / examples.length,
        }),
      ),
    )
    const found = await halves.slope(plus(x, await halves.apply(a, change)), size, wanted)
    addTo(gradient, await halves.outer(a, found.gradient))
    let at = 0
    for (const { target } of own) {
      const each = found.losses.subarray(at, at + target.length)
      at += target.length
      losses.push(each.reduce((s, l) => s + l, 0) / target.length)
    }
  }
  return { loss: losses.reduce((s, l) => s + l, 0) / losses.length, losses, gradient }
}

/** LocFT-BF with another rate, size of mini-batches and loss to stop at. */
export const locFtWith = ({
  rate,
  batch,
  stop,
}: Readonly<Record<'rate' | 'batch' | 'stop', number>>): EditingMethod => ({
  name: 'locft-bf',
  title: 'LocFT-BF',
  about: `the down projection of block 22 of 32, all facts together: Adam ${rate} on mini-batches of ${batch}, 25 epochs or a mean loss < ${stop}, targets with the token that ends a text`,
  source: 'Yang et al. 2026, arXiv 2509.22072; github.com/ICT-STAR/LocFT hparams/llama3-8b.yaml',
  async open(model, words, options = {}) {
    const { layer = scaledLayer(locFtConstants.layer, model.config.layers) } = options
    const { seed = 0, steps: epochs = locFtConstants.epochs } = options
    const end = words.eosIds.slice(0, 1)
    if (end.length === 0)
      fail(
        'TL_UNSUPPORTED',
        'LocFT-BF: the tokenizer names no token that ends a text, and every target is to end in it',
      )
    const halves = await openHalves(model, layer)
    const held = heldChange(halves, words)
    const { ids } = held

    async function exampleOf({ prompt, target }: Lesson): Promise<Example> {
      const before = ids.promptIds(prompt)
      const text = ids.targetIds(prompt, target)
      const sequence = [...before, ...text]
      return {
        between: await halves.below(halves.text(sequence.length), sequence),
        from: before.length - 1,
        target: [...text, ...end],
      }
    }

    async function teachAll(
      lessons: readonly Lesson[],
      progress: (share: number) => void,
    ): Promise<Taught[]> {
      const examples: Example[] = []
      for (const lesson of lessons) examples.push(await exampleOf(lesson))
      const change = held.change()
      const optimizer = adam(change.length)
      const taught = lessons.map(() => ({ steps: 0, loss: Number.POSITIVE_INFINITY }))
      for (let epoch = 0; epoch < epochs; epoch++) {
        const key = random.foldIn(random.key(seed), epoch)
        const order = [...random.samplePermutation(key, examples.length)]
        for (let first = 0; first < order.length; first += batch) {
          progress((epoch + first / order.length) / epochs)
          const places = order.slice(first, first + batch)
          const own = places.map((place) => examples[place]!)
          const { loss, losses, gradient } = await slopeOf(halves, own, change)
          const isLearned = loss < stop
          for (const [i, place] of places.entries()) {
            const fact = taught[place]!
            fact.loss = losses[i]!
            if (!isLearned) fact.steps++
          }
          if (!isLearned) optimizer.step(change, gradient, rate)
        }
        if (taught.reduce((s, { loss }) => s + loss, 0) / taught.length < stop) break
      }
      progress(1)
      return taught
    }

    return {
      layer,
      ...held.questions,
      teachAll,
      teach: async (lesson) => (await teachAll([lesson], () => undefined))[0]!,
      reset: held.reset,
      dispose: halves.dispose,
    }
  },
})

export const locFt = locFtWith(locFtConstants)
