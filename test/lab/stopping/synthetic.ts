/** @file Training curves whose memorization time is known. */
import type { TrainingCurve } from '../../../src/lab/index.ts'
import { random } from '../../../src/tensor/index.ts'

export interface Synthetic {
  P: number
  tau: number
  /** Standard deviation of the noise of a logged loss. The curve falls by 0.2 over two octaves before its minimum. */
  noise?: number
  /** The training ends before this step; default: when the loss has clearly risen. */
  last?: number
  seed?: number
  /** Logged steps in each doubling. */
  perDoubling?: number
}

/** A loss with its only minimum at tau: slow to fall, quick to rise; copies begin at 2·tau (2 % at 2·tau). */
export function synthetic({
  P,
  tau,
  noise = 0.005,
  last,
  seed = 0,
  perDoubling = 4,
}: Synthetic): TrainingCurve {
  const from = 16
  const end = last ?? 6 * tau
  const steps = [
    ...new Set(
      Array.from({ length: Math.floor(Math.log2(end / from) * perDoubling) + 1 }, (_, i) =>
        Math.round(from * 2 ** (i / perDoubling)),
      ),
    ),
  ]
  const draws = random.sampleNormal(random.foldIn(random.key(seed), P), steps.length)
  return {
    ...{ P, seed: String(seed) },
    steps: steps.map((step, i) => {
      const z = Math.log(step / tau)
      return {
        step,
        // its slope 0.1(e^z − e^(−z/2)) is 0 at z = 0 alone
        validationLoss: 2 + 0.1 * (2 * Math.exp(-z / 2) + Math.exp(z) - 3) + noise * draws[i]!,
        copies: Math.min(1, 0.02 * (step / (2 * tau)) ** 2),
      }
    }),
  }
}

/** A factor of run-to-run scatter, exp of so many standard deviations. */
export const scattered = (spread: number, ...draw: number[]): number =>
  Math.exp(spread * random.sampleNormal(draw.reduce(random.foldIn, random.key(77)), 1)[0]!)
