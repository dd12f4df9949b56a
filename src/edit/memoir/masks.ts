/** @file TopHash: the mask of a prompt feature, as bits, and how far two masks overlap (arXiv 2506.07899). */
import { fail } from '../../base/index.ts'
import { type Key, random } from '../../tensor/index.ts'

/** D bits, 32 a word, lowest first. */
export type Mask = Uint32Array

/** k ones of the D bits, in the ratio in which the paper has them: 4096 of 14336 (439 of 1536). */
export const defaultOnes = (hidden: number): number => Math.max(1, Math.round((hidden * 4096) / 14336))

/** The edited block, in the ratio of the paper: 27 of 0 … 31 (25 of 0 … 29). */
export const defaultLayer = (layers: number): number => Math.round(((layers - 1) * 27) / 31)

/** π: where bit i of TopHash goes; one for a store. */
export const drawPermutation = (key: Key, hidden: number): Uint32Array =>
  random.samplePermutation(key, hidden)

/** Places of the k largest |x|; of equal ones the lower place first. */
function largest(x: ArrayLike<number>, k: number): Uint32Array {
  if (!(Number.isInteger(k) && k >= 1 && k <= x.length))
    fail('TL_BAD_ARGUMENT', `mask: expected 1 to ${x.length} ones, got ${k}`)
  for (let i = 0; i < x.length; i++)
    if (!Number.isFinite(x[i])) fail('TL_NOT_FINITE', `mask: feature ${i} is ${x[i]}`)
  const order = Uint32Array.from({ length: x.length }, (_, i) => i)
  return order.sort((a, b) => Math.abs(x[b]!) - Math.abs(x[a]!) || a - b).subarray(0, k)
}

/** M(x) = π(T_k(x)): exactly k ones. */
export function topHash(x: ArrayLike<number>, k: number, permutation: ArrayLike<number>): Mask {
  const mask = new Uint32Array(Math.ceil(x.length / 32))
  for (const i of largest(x, k)) {
    const bit = permutation[i]!
    mask[bit >>> 5]! |= 1 << (bit & 31)
  }
  return mask
}

function ones(word: number): number {
  let w = word - ((word >>> 1) & 0x55555555)
  w = (w & 0x33333333) + ((w >>> 2) & 0x33333333)
  return Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** |a ∧ b| */
export function sharedOnes(a: Mask, b: Mask): number {
  let total = 0
  for (let i = 0; i < a.length; i++) total += ones(a[i]! & b[i]!)
  return total
}

/** Places of the ones, ascending. */
export function placesOf(mask: Mask): Int32Array {
  const places: number[] = []
  for (let i = 0; i < mask.length * 32; i++) if ((mask[i >>> 5]! >>> (i & 31)) & 1) places.push(i)
  return Int32Array.from(places)
}

/** The mask as numbers 0 and 1, [hidden]. */
export function numbersOf(mask: Mask, hidden: number): Float32Array {
  const out = new Float32Array(hidden)
  for (const i of placesOf(mask)) out[i] = 1
  return out
}

/** Eight hexadecimal digits a word. */
export const maskText = (mask: Mask): string =>
  Array.from(mask, (word) => word.toString(16).padStart(8, '0')).join('')

/** The mask that `maskText` wrote; undefined when it is none with k ones of `hidden`. */
export function parseMask(text: unknown, hidden: number, k: number): Mask | undefined {
  const words = Math.ceil(hidden / 32)
  if (typeof text !== 'string' || text.length !== 8 * words || !/^[0-9a-f]*$/.test(text)) return undefined
  const mask = Uint32Array.from({ length: words }, (_, i) =>
    Number.parseInt(text.slice(8 * i, 8 * i + 8), 16),
  )
  const places = placesOf(mask)
  return places.length === k && places.at(-1)! < hidden ? mask : undefined
}
