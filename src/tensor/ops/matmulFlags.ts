/** @file Flags of a matrix product: what the operation, its lowering and the rules that fold factors into it share. */
import type { Attributes } from '../tensor.ts'

export interface MatmulFlags {
  readonly transposeA: boolean
  readonly transposeB: boolean
  /** Factor on the product; the runtime applies it for nothing. */
  readonly alpha: number
}

/** Flags of a product; absent ones are false and 1. */
export const matmulFlags = (attributes: Attributes): MatmulFlags => ({
  transposeA: false,
  transposeB: false,
  alpha: 1,
  ...attributes,
})
