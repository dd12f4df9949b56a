/**
 * @file The reverse process step by step, every step with p(x_0 | x_t) of a denoiser. A step draws its tokens independently of
 * each other, so with exact inference the chain is exact in the limit of small steps, and for masking exact when one token is
 * shown at a time.
 */
import { fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { checkNoise, drawFrom, type Noisy } from './channels.ts'
import { countOf, type Denoiser } from './denoiser.ts'

/** What a chain ends with. */
export interface Reversed {
  /** Clean leaves [B, d]; not a string of the grammar where steps were too large. */
  readonly leaves: Int32Array
  /**
   * Of each datum: 1 if its x_t was impossible at some step (tokens drawn together that do not fit). Its tokens are then drawn
   * from the noise alone. All 0 for a denoiser that cannot tell.
   */
  readonly contradictory: Uint8Array
}

/** Tokens of one-hot vectors. */
const tokensOf = (vectors: Float64Array, v: number): Int32Array =>
  Int32Array.from({ length: vectors.length / v }, (_, i) => {
    const row = vectors.subarray(i * v, (i + 1) * v)
    return row.indexOf(row.reduce((a, b) => Math.max(a, b)))
  })

function checkLevels(levels: readonly number[]): void {
  for (const [i, level] of levels.entries()) {
    checkNoise(level, `levels[${i}]`)
    if (i > 0 && level >= levels[i - 1]!)
      fail('TL_BAD_ARGUMENT', `levels[${i}]: expected less than ${levels[i - 1]}, got ${level}`)
  }
  if (levels.at(-1) !== 0)
    fail('TL_BAD_ARGUMENT', `levels: expected the last to be 0 (clean), got ${levels.at(-1)}`)
}

/**
 * Go back from corrupted leaves x_t through falling noise levels, of which the first is that of x_t and the last 0 (see
 * `noiseLevels`). Throws TL_UNSUPPORTED for a channel without a reverse step, TL_BAD_ARGUMENT for levels that do not fall to 0.
 */
export async function reverseChain(
  denoiser: Denoiser,
  noisy: Noisy,
  { levels, key }: { levels: readonly number[]; key: random.Key },
): Promise<Reversed> {
  const { v, channel } = denoiser
  if (!channel.reverse)
    fail('TL_UNSUPPORTED', `channel "${channel.name}": it has no chain of steps to reverse; use uTurn`)
  checkLevels(levels)
  const contradictory = new Uint8Array(countOf(denoiser, noisy))
  let state = noisy
  for (let i = 0; i + 1 < levels.length; i++) {
    const [from, to] = [levels[i]!, levels[i + 1]!]
    const { clean, impossible } = await denoiser.denoise(state, from)
    if (impossible) for (let b = 0; b < contradictory.length; b++) contradictory[b]! |= impossible[b]!
    state = channel.reverse(state, clean, { v, from, to, key: random.foldIn(key, i) })
  }
  return { leaves: state instanceof Int32Array ? state : tokensOf(state, v), contradictory }
}

/** New strings [count, d]: the chain from nothing but noise, through levels that begin with the most (see `noiseLevels`). */
export async function sampleStrings(
  denoiser: Denoiser,
  { count, levels, key }: { count: number; levels: readonly number[]; key: random.Key },
): Promise<Int32Array> {
  const { d, v, channel } = denoiser
  const [forNoise, forChain] = random.split(key)
  const noisy = channel.corrupt(new Int32Array(count * d), v, 1, forNoise)
  return (await reverseChain(denoiser, noisy, { levels, key: forChain })).leaves
}

/**
 * Round trips of every datum by the chain: x_0 → x_t → x̂_0, `samples` of each, [B · samples, d], datum-major. `levels` begin with
 * the noise at which the process turns. Of exact inference `uTurn` draws the same at once.
 */
export async function roundTrips(
  denoiser: Denoiser,
  leaves: Int32Array,
  {
    levels,
    samples,
    key,
  }: { readonly levels: readonly number[]; readonly samples: number; readonly key: random.Key },
): Promise<Int32Array> {
  const { d, v, channel } = denoiser
  if (!(Number.isSafeInteger(samples) && samples >= 1))
    fail('TL_BAD_ARGUMENT', `samples: expected a whole number ≥ 1, got ${samples}`)
  const copies = new Int32Array(leaves.length * samples)
  for (let at = 0; at < copies.length; at += d) {
    const datum = Math.floor(at / (d * samples))
    copies.set(leaves.subarray(datum * d, (datum + 1) * d), at)
  }
  const [forNoise, forChain] = random.split(key)
  const noisy = channel.corrupt(copies, v, levels[0] ?? 0, forNoise)
  return (await reverseChain(denoiser, noisy, { levels, key: forChain })).leaves
}

/**
 * Show masked tokens (−1) of [B, d] one at a time, in random order, each drawn from its conditional given all that is shown:
 * with exact inference an exact sample of the posterior (the chain rule), for any order. Data must be possible: throws
 * TL_BAD_ARGUMENT otherwise.
 */
export async function unmaskOneByOne(
  denoiser: Denoiser,
  tokens: Int32Array,
  key: random.Key,
): Promise<Int32Array> {
  const { d, v } = denoiser
  const count = countOf(denoiser, tokens)
  const [forOrder, forToken] = random.split(key)
  const priority = random.sampleUniform(forOrder, tokens.length)
  const state = tokens.slice()
  for (let step = 0; step < d; step++) {
    const masked = state.reduce((n, token) => n + Number(token < 0), 0)
    // strings without a mask are looked at once, too: they may be impossible
    if (masked === 0 && step > 0) break
    const { clean, impossible } = await denoiser.denoise(state, masked / state.length)
    const datum = impossible?.indexOf(1) ?? -1
    if (datum >= 0)
      fail('TL_BAD_ARGUMENT', `tokens of datum ${datum}: expected part of a string of the grammar`)
    const units = random.sampleUniform(random.foldIn(forToken, step), count)
    for (let b = 0; b < count; b++) {
      let next = -1
      for (let i = b * d; i < (b + 1) * d; i++)
        if (state[i]! < 0 && (next < 0 || priority[i]! < priority[next]!)) next = i
      if (next >= 0) state[next] = drawFrom(clean, next * v, v, units[b]!)
    }
  }
  return state
}
