/** @file Numbers that a tensor is known to hold: what rules of simplification ask about their operands. */
import type { Tensor } from '../tensor.ts'
import { traitsOf } from './table.ts'

/** The value of a concrete tensor of one element. */
export const constantOf = (x: Tensor): number | undefined =>
  x.isConcrete && x.size === 1 ? Number(x.data[0]) : undefined

/** The one value that a tensor has everywhere, if that is known. */
export const uniformValue = (x: Tensor): number | undefined =>
  traitsOf(x.node.op).elements ? uniformValue(x.node.inputs[0]!) : constantOf(x)
