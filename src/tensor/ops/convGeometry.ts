/** @file Sizes of a two-dimensional convolution: what its operations, their derivatives and their lowering share. */
import type { Attributes } from '../tensor.ts'

export type Pair = readonly [number, number]

/** Geometry shared by the three members of the family. */
export interface ConvGeometry {
  readonly stride: Pair
  /** [[top, bottom], [left, right]] */
  readonly padding: readonly [Pair, Pair]
  /** Distance between kernel elements. */
  readonly dilation: Pair
  readonly groups: number
  /** Input height and width. */
  readonly input: Pair
  /** Kernel height and width. */
  readonly kernel: Pair
}

export const geometryOf = (attributes: Attributes): ConvGeometry => attributes as unknown as ConvGeometry

/** Height and width of the output. */
export const outputSize = (g: ConvGeometry): Pair =>
  [0, 1].map((i) => {
    const span = g.dilation[i]! * (g.kernel[i]! - 1) + 1
    return Math.floor((g.input[i]! + g.padding[i]![0] + g.padding[i]![1] - span) / g.stride[i]!) + 1
  }) as unknown as Pair
