/**
 * @file Counter-based random bits: Threefry 2×32 with 20 rounds (Salmon et al. 2011), laid out as JAX does with
 * `jax_threefry_partitionable`: element i of a result depends on the key and on i alone.
 */
import { threefryParity, threefryRotations } from '../../base/index.ts'
import { showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { apply, scalar, type Tensor } from '../tensor.ts'
import { add } from './arithmetic.ts'
import { broadcastTo } from './broadcast.ts'
import { defineComposite } from './composite.ts'
import { iota } from './iota.ts'
import { bitOr, bitXor, shiftLeft, shiftRight } from './logic.ts'
import { select, stack } from './pieces.ts'
import { reshape } from './shape.ts'

/** The same block over tensors of u32. */
function threefryBlock(key: Tensor, counter0: Tensor, counter1: Tensor): [Tensor, Tensor] {
  const [k0, k1] = [select(key, 0, 0), select(key, 0, 1)]
  const keys = [k0, k1, bitXor(bitXor(k0, k1), scalar(threefryParity, 'u32'))]
  let x = add(counter0, k0)
  let y = add(counter1, k1)
  for (let group = 0; group < 5; group++) {
    for (const r of threefryRotations[group % 2]!) {
      x = add(x, y)
      y = bitXor(bitOr(shiftLeft(y, scalar(r, 'u32')), shiftRight(y, scalar(32 - r, 'u32'))), x)
    }
    x = add(x, keys[(group + 1) % 3]!)
    y = add(add(y, keys[(group + 2) % 3]!), scalar(group + 1, 'u32'))
  }
  return [x, y]
}

function counters(n: number, first: number): [Tensor, Tensor] {
  return [broadcastTo(scalar(0, 'u32'), [n]), add(iota([n], 0, 'u32'), scalar(first, 'u32'))]
}

/** Both words of the block for each counter first … first + n − 1, stacked last: key [2] ↦ [...shape, 2]. */
defineComposite('randomWords', {
  define: ([key], attributes) => {
    const { shape, first } = attributes as { shape: number[]; first: number }
    if (key!.dtype !== 'u32' || key!.shape.length !== 1 || key!.shape[0] !== 2)
      fail(
        'TL_SHAPE_MISMATCH',
        `random: expected a key of u32[2], got ${showSpec(key!)} (make one with key(seed))`,
      )
    if (first + sizeOf(shape) > 2 ** 32)
      fail('TL_BAD_ARGUMENT', `random: expected at most 2^32 elements, got [${shape}]`)
    return [reshape(stack(threefryBlock(key!, ...counters(sizeOf(shape), first)), -1), [...shape, 2])]
  },
})

export const randomWords = (key: Tensor, shape: readonly number[], first = 0): Tensor =>
  apply('randomWords', [key], { shape: [...shape], first })
