/** @file General contraction, on top of the matrix product. */
import { showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { apply, type Tensor } from '../tensor.ts'
import { matmul } from './matmul.ts'
import { sum } from './reduce.ts'
import { reshape, transpose } from './shape.ts'

/**
 * Contraction in Einstein's notation: `einsum('bhqd,bhkd->bhqk', q, k)`. Letters absent from the result are summed over;
 * without `->` they are those that appear twice. One or more operands, contracted from left to right.
 */
export function einsum(formula: string, ...tensors: Tensor[]): Tensor {
  const [left, right] = formula.replaceAll(' ', '').split('->')
  const labels = left!.split(',').map((word) => [...word])
  const letters = labels.flat()
  if (labels.length !== tensors.length || letters.some((c) => !/[A-Za-z]/.test(c)))
    fail(
      'TL_BAD_ARGUMENT',
      `einsum: expected one group of letters for each of ${tensors.length} tensors, got "${formula}"`,
    )
  const target =
    right === undefined
      ? [...new Set(letters)].filter((c) => letters.indexOf(c) === letters.lastIndexOf(c)).sort()
      : [...right]
  if (target.some((c, i) => !letters.includes(c) || target.indexOf(c) !== i))
    fail(
      'TL_BAD_ARGUMENT',
      `einsum: the result "${target.join('')}" must name letters of "${left}" once each`,
    )
  const size = new Map<string, number>()
  for (const [i, word] of labels.entries()) {
    if (word.length !== tensors[i]!.rank)
      fail(
        'TL_SHAPE_MISMATCH',
        `einsum: "${word.join('')}" names ${word.length} axes, the tensor is ${showSpec(tensors[i]!)}`,
      )
    for (const [axis, c] of word.entries()) {
      const n = tensors[i]!.shape[axis]!
      if (size.has(c) && size.get(c) !== n)
        fail('TL_SHAPE_MISMATCH', `einsum: axis "${c}" has sizes ${size.get(c)} and ${n} in "${formula}"`)
      size.set(c, n)
    }
  }
  let [value, word] = diagonal(tensors[0]!, labels[0]!)
  for (let i = 1; i < tensors.length; i++) {
    const later = new Set([...labels.slice(i + 1).flat(), ...target])
    ;[value, word] = contract(value, word, ...diagonal(tensors[i]!, labels[i]!), later, size)
  }
  const extra = word.flatMap((c, axis) => (target.includes(c) ? [] : [axis]))
  value = sum(value, extra)
  word = word.filter((c) => target.includes(c))
  return transpose(
    value,
    target.map((c) => word.indexOf(c)),
  )
}

/** Repeated letters in one operand select the diagonal: multiply by the identity and sum. */
function diagonal(x: Tensor, word: string[]): [Tensor, string[]] {
  const second = word.findIndex((c, i) => word.indexOf(c) !== i)
  if (second < 0) return [x, word]
  const first = word.indexOf(word[second]!)
  const n = x.shape[first]!
  const position = (axis: number): Tensor =>
    reshape(
      apply('iota', [], { shape: [n], axis: 0, dtype: 'i32' }),
      x.shape.map((_, i) => (i === axis ? n : 1)),
    )
  const mask = apply('cast', [apply('equal', [position(first), position(second)])], { dtype: x.dtype })
  return diagonal(sum(apply('mul', [x, mask]), second), word.toSpliced(second, 1))
}

/** Contract two operands into one: shared letters that are needed later become batch axes, the others are summed. */
function contract(
  a: Tensor,
  wa: string[],
  b: Tensor,
  wb: string[],
  later: ReadonlySet<string>,
  size: ReadonlyMap<string, number>,
): [Tensor, string[]] {
  const alone = (x: Tensor, word: string[], other: string[]): [Tensor, string[]] => {
    const drop = word.flatMap((c, axis) => (later.has(c) || other.includes(c) ? [] : [axis]))
    return [sum(x, drop), word.filter((_, axis) => !drop.includes(axis))]
  }
  const [x, wx] = alone(a, wa, wb)
  const [y, wy] = alone(b, wb, wa)
  const batch = wx.filter((c) => wy.includes(c) && later.has(c))
  const inner = wx.filter((c) => wy.includes(c) && !later.has(c))
  const free = (word: string[]): string[] => word.filter((c) => !batch.includes(c) && !inner.includes(c))
  const [fx, fy] = [free(wx), free(wy)]
  const total = (word: string[]): number => word.reduce((n, c) => n * size.get(c)!, 1)
  const arrange = (t: Tensor, word: string[], order: string[][]): Tensor =>
    reshape(
      transpose(
        t,
        order.flat().map((c) => word.indexOf(c)),
      ),
      [...batch.map((c) => size.get(c)!), ...order.slice(1).map(total)],
    )
  const z = matmul(arrange(x, wx, [batch, fx, inner]), arrange(y, wy, [batch, inner, fy]))
  const word = [...batch, ...fx, ...fy]
  return [
    reshape(
      z,
      word.map((c) => size.get(c)!),
    ),
    word,
  ]
}
