/**
 * @file Noise processes on the leaves of a tree, one row each: what corruption does, what the corrupted leaves say about the
 * clean ones, and one step back. The noise level is 1 − ᾱ for all: 0 leaves everything as it is, 1 leaves nothing.
 */
import { entryOf, fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'

/** Names of the rows of `channels`. */
export type ChannelName = 'epsilon' | 'uniform' | 'masking' | 'gaussian'

/** Corrupted leaves: tokens [B, d] (−1 where masked), or vectors [B, d, v]. */
export type Noisy = Int32Array | Float64Array

/** Where numbers come from: those of `random`, or others that a test chooses. */
interface Draws {
  /** In [0, 1). */
  uniform(key: random.Key, n: number): Float32Array
  /** Standard normal. */
  normal(key: random.Key, n: number): Float32Array
}

const ordinary: Draws = { uniform: random.sampleUniform, normal: random.sampleNormal }

/** One reverse step, from noise level `from` to the lower level `to`. */
export interface ReverseStep {
  readonly v: number
  readonly from: number
  readonly to: number
  readonly key: random.Key
  readonly draws?: Draws
}

/** A noise process. `X` is what corrupted leaves are. */
export interface Channel<X extends Noisy = Noisy> {
  readonly name: ChannelName
  readonly title: string
  /** The noise level in words, for axes and tables. */
  readonly level: string
  /** False when the evidence follows from the clean leaves alone: one upward pass then serves all samples of a datum. */
  readonly random: boolean
  /** Corrupt clean leaves [B, d], at one noise level or one of every leaf. */
  corrupt(leaves: Int32Array, v: number, noise: number | ArrayLike<number>, key: random.Key): X
  /** p(corrupted | clean symbol) of every leaf, up to a factor of each row: [B, d, v], the largest of a row about 1. */
  likelihood(noisy: X, v: number, noise: number): Float64Array
  /**
   * Step to a lower noise level given the marginals p(x_0 | x_t) [B, d, v] of the tokens: every token draws its x_0, then
   * x_{t−1} ~ q(x_{t−1} | x_t, x_0). Exact for one token at a time, and in the limit of small steps. Absent where the
   * process has no chain behind it.
   */
  reverse?(noisy: X, clean: ArrayLike<number>, step: ReverseStep): X
}

/** The noise level of a leaf. */
const levelAt = (noise: number | ArrayLike<number>, leaf: number): number =>
  typeof noise === 'number' ? noise : noise[leaf]!

/** ᾱ·1[γ = x] + (1 − ᾱ)/v, scaled by v: (Sclocchi et al. 2025, Eq. 6), (Austin et al. 2021, uniform transitions). */
function flatOrSame(tokens: Int32Array, v: number, noise: number): Float64Array {
  const out = new Float64Array(tokens.length * v).fill(noise / v)
  for (let i = 0; i < tokens.length; i++) out[i * v + tokens[i]!]! += 1 - noise
  return out
}

/** A symbol drawn from the row of `weights` at `at`, of any scale; `unit` in [0, 1). −1 when the row is all zeros. */
export function drawFrom(weights: ArrayLike<number>, at: number, v: number, unit: number): number {
  let total = 0
  for (let a = 0; a < v; a++) total += weights[at + a]!
  let rest = unit * total
  let last = -1
  for (let a = 0; a < v; a++) {
    const weight = weights[at + a]!
    if (weight <= 0) continue
    last = a
    rest -= weight
    if (rest < 0) return a
  }
  return last
}

const epsilon: Channel<Int32Array> = {
  name: 'epsilon',
  title: 'ε-process',
  level: 'ε',
  random: false,
  corrupt: (leaves) => leaves.slice(),
  likelihood: flatOrSame,
}

const uniform: Channel<Int32Array> = {
  name: 'uniform',
  title: 'uniform flips',
  level: 'share of tokens drawn anew, 1 − ᾱ',
  random: true,
  corrupt(leaves, v, noise, key) {
    const [whether, which] = random.split(key)
    const units = random.sampleUniform(whether, leaves.length)
    const symbols = random.sampleIntegers(which, leaves.length, v)
    return leaves.map((leaf, i) => (units[i]! < levelAt(noise, i) ? symbols[i]! : leaf))
  },
  likelihood: flatOrSame,
  // Σ_{x_0} p(x_0) q(x_{t−1} | x_t, x_0), q ∝ A ∘ [ᾱ_{t−1} e_{x_0} + (1 − ᾱ_{t−1})/v], A = α e_{x_t} + (1 − α)/v  (Austin et al.
  // 2021, Eqs. 3, 4): with w = p(x_0) over the norm of its q it is A ∘ [ᾱ_{t−1} w + (1 − ᾱ_{t−1})/v Σ w]
  reverse(tokens, clean, { v, from, to, key, draws = ordinary }) {
    const units = draws.uniform(key, tokens.length)
    const alpha = (1 - from) / (1 - to)
    const [flat, flatBefore] = [(1 - alpha) / v, to / v]
    const same = flat + alpha
    // a norm is 0 only for an x_0 that cannot be
    const normOfOther = (1 - to) * flat + flatBefore || Infinity
    const normOfSame = (1 - to) * same + flatBefore || Infinity
    const weights = new Float64Array(v)
    const out = new Int32Array(tokens.length)
    for (let i = 0, at = 0; i < out.length; i++, at += v) {
      const token = tokens[i]!
      let total = 0
      for (let a = 0; a < v; a++) {
        const weight = clean[at + a]! / (a === token ? normOfSame : normOfOther)
        weights[a] = weight
        total += weight
      }
      for (let a = 0; a < v; a++)
        weights[a] = (a === token ? same : flat) * ((1 - to) * weights[a]! + flatBefore * total)
      out[i] = drawFrom(weights, 0, v, units[i]!)
    }
    return out
  },
}

const masking: Channel<Int32Array> = {
  name: 'masking',
  title: 'masking',
  level: 'share of masked tokens',
  random: true,
  corrupt(leaves, _v, noise, key) {
    const units = random.sampleUniform(key, leaves.length)
    return leaves.map((leaf, i) => (units[i]! < levelAt(noise, i) ? -1 : leaf))
  },
  likelihood(tokens, v) {
    const out = new Float64Array(tokens.length * v)
    for (let i = 0; i < tokens.length; i++)
      if (tokens[i]! < 0) out.fill(1, i * v, (i + 1) * v)
      else out[i * v + tokens[i]!] = 1
    return out
  },
  // a masked token is shown with probability (ᾱ_{t−1} − ᾱ_t)/(1 − ᾱ_t), and then is x_0 (Austin et al. 2021, absorbing state)
  reverse(tokens, clean, { v, from, to, key, draws = ordinary }) {
    const [whether, which] = random.split(key)
    const shown = draws.uniform(whether, tokens.length)
    const units = draws.uniform(which, tokens.length)
    return tokens.map((token, i) =>
      token < 0 && shown[i]! * from < from - to ? drawFrom(clean, i * v, v, units[i]!) : token,
    )
  },
}

const gaussian: Channel<Float64Array> = {
  name: 'gaussian',
  title: 'Gaussian noise on one-hot tokens',
  level: '1 − ᾱ, ᾱ the share of the signal’s power',
  random: true,
  corrupt(leaves, v, noise, key) {
    const out = Float64Array.from(random.sampleNormal(key, leaves.length * v))
    for (let i = 0; i < leaves.length; i++) {
      const deviation = Math.sqrt(levelAt(noise, i))
      for (let a = i * v; a < (i + 1) * v; a++) out[a] = deviation * out[a]!
      out[i * v + leaves[i]!]! += Math.sqrt(1 - levelAt(noise, i))
    }
    return out
  },
  // exp(x_γ/Δ), Δ = (1 − ᾱ)/√ᾱ  (Sclocchi et al. 2025, SI Eq. 12)
  likelihood(vectors, v, noise) {
    const out = new Float64Array(vectors.length)
    for (let at = 0; at < vectors.length; at += v) {
      let largest = -Infinity
      for (let a = 0; a < v; a++) largest = Math.max(largest, vectors[at + a]!)
      for (let a = 0; a < v; a++) {
        const below = vectors[at + a]! - largest
        // without noise Δ = 0: the largest entry is the token
        out[at + a] = below === 0 ? 1 : Math.exp((below * Math.sqrt(1 - noise)) / noise)
      }
    }
    return out
  },
  // q(x_{t−1} | x_t, x_0), a Gaussian (Ho et al. 2020, Eqs. 6, 7)
  reverse(vectors, clean, { v, from, to, key, draws = ordinary }) {
    const [forClean, forNoise] = random.split(key)
    const tokens = vectors.length / v
    const units = draws.uniform(forClean, tokens)
    const normals = draws.normal(forNoise, vectors.length)
    const alpha = (1 - from) / (1 - to)
    const ofNoisy = (Math.sqrt(alpha) * to) / from
    const ofClean = (Math.sqrt(1 - to) * (1 - alpha)) / from
    const deviation = Math.sqrt(((1 - alpha) * to) / from)
    const out = new Float64Array(vectors.length)
    for (let i = 0; i < out.length; i++) out[i] = ofNoisy * vectors[i]! + deviation * normals[i]!
    for (let i = 0; i < tokens; i++) out[i * v + drawFrom(clean, i * v, v, units[i]!)]! += ofClean
    return out
  },
}

/** The table of noise processes; a new one is a row here. */
export const channels: Readonly<Record<ChannelName, Channel>> = { epsilon, uniform, masking, gaussian }

/** A row of `channels`. Throws TL_BAD_ARGUMENT with the nearest name. */
export const findChannel = (name: string): Channel => entryOf('channel', channels, name)

/** Throws TL_BAD_ARGUMENT unless the noise level is in [0, 1]. */
export function checkNoise(noise: number, name = 'noise'): void {
  if (!(noise >= 0 && noise <= 1))
    fail(
      'TL_BAD_ARGUMENT',
      `${name}: expected a noise level between 0 (clean) and 1 (nothing left), got ${noise}`,
    )
}

/**
 * Corrupt leaves [B, d] and return what exact inference needs: likelihoods [B, d, v]. Throws TL_BAD_ARGUMENT for a noise
 * level outside [0, 1] or a leaf that is no symbol.
 */
export function leafEvidence(
  channel: Channel,
  leaves: Int32Array,
  { v, noise, key }: { v: number; noise: number; key: random.Key },
): Float64Array {
  checkNoise(noise)
  const wrong = leaves.findIndex((leaf) => !(leaf >= 0 && leaf < v))
  if (wrong >= 0)
    fail(
      'TL_BAD_ARGUMENT',
      `leaves[${wrong}]: expected a symbol between 0 and ${v - 1}, got ${leaves[wrong]}`,
    )
  return channel.likelihood(channel.corrupt(leaves, v, noise, key), v, noise)
}
