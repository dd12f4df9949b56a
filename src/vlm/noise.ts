/** @file Pictures under noise, as visual contrastive decoding sees them beside the clear ones. (Leng et al. 2024, arXiv 2311.16922) */
import { fail } from '../base/index.ts'
import { type Key, random } from '../tensor/index.ts'

const most = 1000

/** Shares of the picture that are left after each step: β rises from 1e-5 to 5e-3 along a sigmoid of −6 … 6. */
function alphaBars(): Float64Array {
  let product = 1
  return Float64Array.from({ length: most }, (_, t) => {
    const place = -6 + (12 * t) / (most - 1)
    product *= 1 - ((5e-3 - 1e-5) / (1 + Math.exp(-place)) + 1e-5)
    return product
  })
}

/**
 * Pixels of tile `index` after `step` steps of forward diffusion, of 1000: √ᾱ x + √(1 − ᾱ) ε. The published rule takes step 500. Throws
 * `TL_BAD_ARGUMENT`.
 */
export function underNoise(step: number, key: Key): (tile: Float32Array, index: number) => Float32Array {
  if (!(Number.isInteger(step) && step >= 0 && step < most))
    fail('TL_BAD_ARGUMENT', `underNoise: step: expected a whole number from 0 to ${most - 1}, got ${step}`)
  const left = alphaBars()[step]!
  const [keep, add] = [Math.sqrt(left), Math.sqrt(1 - left)]
  return (tile, index) => {
    const noise = random.sampleNormal(random.foldIn(key, index), tile.length)
    return tile.map((value, i) => keep * value + add * noise[i]!)
  }
}
