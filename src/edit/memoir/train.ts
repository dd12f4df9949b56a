/** @file One edit: gradient descent on the active rows of the residual memory (arXiv 2506.07899). */
import type { LanguageModel } from '../../lm/index.ts'
import type { Keys, Training } from '../store/index.ts'
import { type Batch, makeDifferentiator, type TrainingExample } from './gradient.ts'
import { type Mask, placesOf } from './masks.ts'
import { sparing } from './protection.ts'

export type { TrainingExample } from './gradient.ts'

interface Taught {
  /** Rows [places, width] after the edit. */
  readonly values: Float32Array
  readonly places: Int32Array
  /** What the edit reads the memory with. */
  readonly keys: Keys
  readonly steps: number
  readonly losses: { readonly first: number; readonly last: number; readonly worst: number }
  readonly stopped: 'loss' | 'steps'
}

/** Called before each step of an edit. */
export type OnStep = (done: number, most: number) => void

export interface Trainer {
  /** What an edit reads the memory with. */
  keysOf(mask: Mask, examples: readonly TrainingExample[]): Promise<Keys>
  /** `others`: what edits that are not to be harmed read the memory with. */
  teach(
    memory: Float32Array,
    mask: Mask,
    examples: readonly TrainingExample[],
    training: Training,
    others?: readonly Keys[],
    onStep?: OnStep,
  ): Promise<Taught>
  dispose(): void
}

/**
 * One step of SGD on rows, in place: the gradient clipped to a norm, weight decay as PyTorch adds it, but not to the momentum.
 * `velocity` is the last step, and becomes this one.
 */
function descend(
  rows: Float32Array,
  gradient: Float32Array,
  velocity: Float32Array,
  { rate, momentum, clip, decay }: Training,
): void {
  let squares = 0
  for (let i = 0; i < gradient.length; i++) squares += gradient[i]! * gradient[i]!
  const factor = rate * Math.min(1, clip / (Math.sqrt(squares) + 1e-6))
  const kept = 1 - (decay.of === 'none' ? 0 : rate * decay.rate)
  for (let i = 0; i < rows.length; i++) {
    velocity[i] = momentum * velocity[i]! + factor * gradient[i]!
    rows[i] = kept * rows[i]! - velocity[i]!
  }
}

/** Weight decay alone, in place: what an optimizer of the whole memory does to rows without a gradient. */
function fade(rows: Float32Array, { rate, decay }: Training, steps: number): void {
  const kept = 1 - rate * decay.rate
  for (let s = 0; s < steps; s++) for (let i = 0; i < rows.length; i++) rows[i] = kept * rows[i]!
}

const mean = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length

/** Of the first example, the prompt as it will be asked. */
const keysIn = (places: Int32Array, { activations }: Batch, [first]: readonly TrainingExample[]): Keys => ({
  places,
  activations: activations.slice(0, first!.tokens * places.length),
})

/** The trainer of a model's block. Its programs are compiled at the first edit, and kept. */
export function makeTrainer(model: LanguageModel, layer: number): Trainer {
  const { width, hidden } = model.config
  const differentiator = makeDifferentiator(model, layer)
  return {
    async keysOf(mask, examples) {
      const places = placesOf(mask)
      return keysIn(places, await differentiator.prepare(examples.slice(0, 1), places, 'n'), examples)
    },
    async teach(memory, mask, examples, training, others = [], onStep) {
      const places = placesOf(mask)
      const { maxSteps, stop, denominator, decay } = training
      const batch = await differentiator.prepare(examples, places, denominator)
      const { losses, weights, gradient } = batch
      const keys = keysIn(places, batch, examples)
      const directions = sparing(batch.activations, keys, others, training.protection)
      const rows = new Float32Array(places.length * width)
      for (const [i, place] of places.entries())
        rows.set(memory.subarray(place * width, (place + 1) * width), i * width)
      let [first, steps, before] = [0, 0, 0]
      const velocity = new Float32Array(rows.length)
      let stopped: Taught['stopped'] = 'steps'
      for (;;) {
        onStep?.(steps, maxSteps)
        await batch.evaluate(rows, directions)
        if (steps === 0) first = mean(losses)
        if (steps === maxSteps) break
        if (stop.rule === 'loss' && Math.max(...losses) < stop.loss) {
          stopped = 'loss'
          break
        }
        descend(rows, gradient, velocity, training)
        steps++
        if (stop.rule !== 'published') continue
        // published: looks after the step, at the loss before it
        const value = losses.reduce((s, l, i) => s + l * weights[i]!, 0)
        if (Math.abs(value - before) <= 1e-4 && value <= 0.02) {
          stopped = 'loss'
          break
        }
        before = value
      }
      const about = { first, last: mean(losses), worst: Math.max(...losses) }
      if (decay.of !== 'dense') return { places, values: rows, keys, steps, losses: about, stopped }
      // decay reaches every row, also those of other edits
      const whole = memory.slice()
      fade(whole, training, steps)
      for (const [i, place] of places.entries())
        whole.set(rows.subarray(i * width, (i + 1) * width), place * width)
      const all = Int32Array.from({ length: hidden }, (_, i) => i)
      return { places: all, values: whole, keys, steps, losses: about, stopped }
    },
    dispose: differentiator.dispose,
  }
}
