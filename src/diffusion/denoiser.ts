/**
 * @file What undoes noise: p(x_0 | x_t) of every token, by exact inference on a grammar or by a trained network. Samplers and
 * forward–backward experiments take either.
 */
import { fail } from '../base/index.ts'
import { type Grammar, inferUp, marginals } from '../grammar/index.ts'
import { type Channel, checkNoise, type Noisy } from './channels.ts'

/** p(x_0 | x_t). */
export interface Denoised {
  /** Of every token, [B, d, v]; rows of any scale. */
  readonly clean: Float64Array | Float32Array
  /** Of each datum [B]: 1 where x_t cannot be; `clean` is what the noise alone says then. Absent where none can be told. */
  readonly impossible?: Uint8Array
}

/** A way back from the noise of one channel. */
export interface Denoiser {
  readonly channel: Channel
  /** Symbols. */
  readonly v: number
  /** Tokens of a string. */
  readonly d: number
  /** `noisy` is x_t of B strings at a noise level 1 − ᾱ in [0, 1]. */
  denoise(noisy: Noisy, noise: number): Denoised | Promise<Denoised>
}

/** Strings of corrupted leaves. Throws TL_BAD_ARGUMENT where it is no whole number. */
export function countOf({ channel, d, v }: Pick<Denoiser, 'channel' | 'd' | 'v'>, noisy: Noisy): number {
  const each = channel.name === 'gaussian' ? d * v : d
  const count = noisy.length / each
  if (!Number.isInteger(count))
    fail(
      'TL_BAD_ARGUMENT',
      `noisy: expected a whole number of strings of ${each} numbers, got ${noisy.length}`,
    )
  return count
}

/** Exact inference as a denoiser. */
export function exactDenoiser(grammar: Grammar, channel: Channel): Denoiser {
  const { d, v, L } = grammar
  const denoiser: Denoiser = {
    ...{ channel, d, v },
    denoise(noisy, noise) {
      checkNoise(noise)
      const count = countOf(denoiser, noisy)
      const likelihood = channel.likelihood(noisy, v, noise)
      const up = inferUp(grammar, likelihood, count)
      const clean = marginals(grammar, up)[L]!
      const size = d * v
      for (let b = 0; b < count; b++)
        if (up.impossible[b]) clean.set(likelihood.subarray(b * size, (b + 1) * size), b * size)
      return { clean, impossible: Uint8Array.from(up.impossible) }
    },
  }
  return denoiser
}
