/** @file Masks filled a few at a time in random order, each symbol from its conditional given all that is shown. */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { drawFrom } from '../channels.ts'
import { countOf, type Denoiser } from '../denoiser.ts'

/** How masks are filled. */
export interface FillOptions {
  /** Symbols of a string that are drawn at once, as if they were independent. With one the draw is exact where the denoiser is. Default 1. */
  readonly perStep?: number
  readonly key: random.Key
  /** Share of the masks that are filled. */
  readonly onProgress?: (share: number) => void
  readonly signal?: AbortSignal
}

/** Masked places of each string in a random order, and where those of each string begin [count + 1]. */
function orders(tokens: Int32Array, d: number, key: random.Key): { places: Int32Array; starts: Int32Array } {
  const count = tokens.length / d
  const priority = random.sampleBits(key, tokens.length)
  const places: number[] = []
  const starts = new Int32Array(count + 1)
  for (let b = 0; b < count; b++) {
    const own: number[] = []
    for (let i = b * d; i < (b + 1) * d; i++) if (tokens[i]! < 0) own.push(i)
    own.sort((i, j) => priority[i]! - priority[j]! || i - j)
    places.push(...own)
    starts[b + 1] = places.length
  }
  return { places: Int32Array.from(places), starts }
}

/**
 * Fill the masks (−1) of strings [B, d]. Strings that are complete are no longer looked at. The same key gives the same symbols.
 * Throws TL_BAD_ARGUMENT for a `perStep` that is no whole number from 1 on; what the signal throws.
 */
export async function fillMasks(
  denoiser: Denoiser,
  tokens: Int32Array,
  { perStep = 1, key, onProgress, signal }: FillOptions,
): Promise<Int32Array> {
  const { d, v } = denoiser
  if (!(Number.isSafeInteger(perStep) && perStep >= 1))
    fail('TL_BAD_ARGUMENT', `perStep: expected a whole number ≥ 1, got ${perStep}`)
  const count = countOf(denoiser, tokens)
  const [forOrder, forSymbols] = random.split(key)
  const { places, starts } = orders(tokens, d, forOrder)
  const units = random.sampleUniform(forSymbols, places.length)
  const state = tokens.slice()
  const masks = (b: number): number => starts[b + 1]! - starts[b]!
  let open = Array.from({ length: count }, (_, b) => b).filter((b) => masks(b) > 0)
  for (let done = 0; open.length > 0; done += perStep) {
    signal?.throwIfAborted()
    const some = new Int32Array(open.length * d)
    for (const [i, b] of open.entries()) some.set(state.subarray(b * d, (b + 1) * d), i * d)
    const left = open.reduce((sum, b) => sum + masks(b) - done, 0)
    onProgress?.(1 - left / places.length)
    const { clean } = await denoiser.denoise(some, left / some.length)
    for (const [i, b] of open.entries())
      for (let at = starts[b]! + done; at < Math.min(starts[b + 1]!, starts[b]! + done + perStep); at++) {
        const place = places[at]!
        state[place] = drawFrom(clean, (i * d + place - b * d) * v, v, units[at]!)
      }
    open = open.filter((b) => masks(b) > done + perStep)
  }
  return state
}

/** New strings [count, d], from nothing but masks. */
export const fillStrings = (denoiser: Denoiser, count: number, options: FillOptions): Promise<Int32Array> =>
  fillMasks(denoiser, new Int32Array(count * denoiser.d).fill(-1), options)
