/**
 * @file What a denoising network is trained for: one row for each way to compare its answer with the clean string, as a part of a
 * program. The network answers with logits of x̂_0, of every token what the *others* say of it; p(x_0 | x_t) is that times the
 * evidence of the token's own x_t. (Austin et al. 2021; Shi et al. 2024; Favero et al. 2025)
 */
import {
  add,
  cast,
  crossEntropy,
  div,
  less,
  log,
  maximum,
  mul,
  oneHot,
  reshape,
  softmax,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
} from '../../tensor/index.ts'
import type { ChannelName } from '../channels.ts'
import type { Schedule } from '../schedules.ts'

/** Strings as a program takes them, each at a step t of its own. */
export type NoisyStrings = {
  /** x_0, symbols i32 [B, d]. */
  clean: Tensor
  /** x_t: symbols i32 [B, d], −1 where masked; or vectors f32 [B, d, v]. */
  noisy: Tensor
  /** 1 − ᾱ_t, f32 [B]. */
  noise: Tensor
  /** 1 − ᾱ_{t−1}, f32 [B]. */
  before: Tensor
  /** α_t = ᾱ_t/ᾱ_{t−1}, f32 [B]: of the two levels it would be 0/0 where both round to 1. */
  alpha: Tensor
  /** What the step counts, f32 [B]. */
  weight: Tensor
}

/** What x_t says of x_0, token by token, [B, d, v]. */
interface OwnEvidence {
  /** p(x_t | x_0), rows of sum 1: what a network is given. */
  readonly share: Tensor
  /** Its logarithm, up to a constant of each row; very low in place of −∞. */
  readonly log: Tensor
}

/** In place of 0 where a logarithm is taken. */
const tiny = 1e-30

/** [B] as it broadcasts over tokens and symbols. */
const perString = (x: Tensor): Tensor => reshape(x, [x.size, 1, 1])

/** The evidence of the tokens of a channel. */
export function ownEvidence(
  channel: ChannelName,
  { noisy, noise }: Pick<NoisyStrings, 'noisy' | 'noise'>,
  v: number,
): OwnEvidence {
  const level = perString(noise)
  if (channel === 'gaussian') {
    const safe = maximum(level, 1e-6)
    const logs = mul(noisy, div(sqrt(sub(1, level)), safe))
    return { share: softmax(logs), log: logs }
  }
  const shown = oneHot(noisy, v, noise.dtype)
  const share =
    channel === 'masking'
      ? add(shown, mul(reshape(cast(less(noisy, 0), noise.dtype), [...noisy.shape, 1]), 1 / v))
      : add(mul(shown, sub(1, level)), mul(level, 1 / v))
  return { share, log: log(maximum(share, tiny)) }
}

export interface Objective {
  readonly channel: ChannelName
  /** Loss of every token of strings, [B, d]; of logits [B, d, v] and x_t alone. */
  loss(logits: Tensor, strings: NoisyStrings): Tensor
  /** What step t counts. */
  weight(schedule: Schedule, t: number): number
  /**
   * A bound on −log p(x) in nats a token: this times the mean loss over tokens and steps, and `prior` on top. Absent where the
   * loss bounds nothing.
   */
  readonly bound?: {
    factor(schedule: Schedule): number
    /** KL(q(x_T | x_0) ‖ what sampling begins with), nats a token. */
    prior(schedule: Schedule, v: number): number
  }
}

/** ∑ over symbols. */
const overSymbols = (x: Tensor): Tensor => sum(x, 2)

/**
 * KL(q(x_{t−1} | x_t, x_0) ‖ q(x_{t−1} | x_t, x̂_0)), nats, with q ∝ A ∘ ((1 − b) x_0 + b/v), A = α e_{x_t} + (1 − α)/v,
 * b = 1 − ᾱ_{t−1} (Favero et al. 2025; Hoogeboom et al. 2021, eq. 15). A cancels in the logarithm but for the two norms.
 */
function posteriorKl(logits: Tensor, strings: NoisyStrings): Tensor {
  const { clean, noisy } = strings
  const v = logits.shape[2]!
  const [b, alpha] = [perString(strings.before), perString(strings.alpha)]
  const symbols = (x: Tensor): Tensor => oneHot(x, v, logits.dtype)
  const kept = add(mul(symbols(noisy), alpha), mul(sub(1, alpha), 1 / v))
  const mixed = (x: Tensor): Tensor => add(mul(x, sub(1, b)), mul(b, 1 / v))
  const [truth, guess] = [mixed(symbols(clean)), mixed(softmax(logits))]
  const [whole, guessed] = [mul(kept, truth), mul(kept, guess)].map(overSymbols) as [Tensor, Tensor]
  const q = div(mul(kept, truth), reshape(whole, [...whole.shape, 1]))
  const ratio = sub(log(maximum(truth, tiny)), log(maximum(guess, tiny)))
  return add(overSymbols(mul(q, ratio)), sub(log(guessed), log(whole)))
}

/** ‖x_0 − E x̂_0‖² of p(x_0 | x_t), [B, d]. */
function squaredError(logits: Tensor, strings: NoisyStrings): Tensor {
  const v = logits.shape[2]!
  const posterior = softmax(add(logits, ownEvidence('gaussian', strings, v).log))
  return overSymbols(square(sub(oneHot(strings.clean, v, logits.dtype), posterior)))
}

const weighted = (loss: Tensor, { weight }: NoisyStrings): Tensor =>
  mul(loss, reshape(weight, [weight.size, 1]))

const signalToNoise = ({ alphaBar }: Schedule, t: number): number => alphaBar(t) / (1 - alphaBar(t))

/** The table of objectives; the first of a channel is its default. A new one is a row here. */
export const objectives: Readonly<Record<string, Objective>> = {
  posteriorKl: {
    channel: 'uniform',
    loss: posteriorKl,
    weight: () => 1,
    bound: {
      factor: ({ steps }) => steps,
      prior: ({ steps, alphaBar }, v) => {
        const [left, each] = [alphaBar(steps), (1 - alphaBar(steps)) / v]
        const same = (left + each) * Math.log(v * (left + each))
        return each > 0 ? same + (v - 1) * each * Math.log(v * each) : same
      },
    },
  },
  /** T (ᾱ_{t−1} − ᾱ_t)/(1 − ᾱ_t) for each masked token: −ᾱ'/(1 − ᾱ) in the limit (Shi et al. 2024, eq. 4; Sahoo et al. 2024). */
  maskedCrossEntropy: {
    channel: 'masking',
    loss: (logits, strings) =>
      weighted(mul(crossEntropy(logits, strings.clean), cast(less(strings.noisy, 0), logits.dtype)), strings),
    weight: ({ steps, alphaBar }, t) => (steps * (alphaBar(t - 1) - alphaBar(t))) / (1 - alphaBar(t)),
    bound: { factor: () => 1, prior: () => 0 },
  },
  crossEntropy: {
    channel: 'gaussian',
    loss: (logits, strings) =>
      crossEntropy(add(logits, ownEvidence('gaussian', strings, logits.shape[2]!).log), strings.clean),
    weight: () => 1,
  },
  /** ‖ε − ε̂‖² with ε̂ = (x_t − √ᾱ x̂_0)/√(1 − ᾱ): the error of x̂_0 times ᾱ/(1 − ᾱ) (Ho et al. 2020, eq. 14). */
  noise: {
    channel: 'gaussian',
    loss: (logits, strings) => weighted(squaredError(logits, strings), strings),
    weight: signalToNoise,
  },
  /** ‖s − ŝ‖² with the score s = −ε/√(1 − ᾱ) (Song et al. 2021, eq. 7). */
  score: {
    channel: 'gaussian',
    loss: (logits, strings) => weighted(squaredError(logits, strings), strings),
    weight: (schedule, t) => signalToNoise(schedule, t) / (1 - schedule.alphaBar(t)),
  },
}
