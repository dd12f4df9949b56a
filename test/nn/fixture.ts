/** @file Oracle fixtures made by PyTorch, as trees of tensors, and comparison of trees. */
import { expect } from 'vitest'
import { readSafetensors } from '../../src/checkpoint/index.ts'
import {
  entries,
  fromEntries,
  type Tensor,
  type Tree,
  type TypedArray,
  tensor,
} from '../../src/tensor/index.ts'

const widened = (dtype: 'f32' | 'f64', t: Tensor): Tensor =>
  t.dtype === 'f32' || t.dtype === 'f64'
    ? tensor(t.data, { shape: t.shape, dtype })
    : t.dtype === 'i64'
      ? tensor(Int32Array.from(t.data as unknown as bigint[], Number), { shape: t.shape })
      : t

/** One case of a fixture file: tensors by role. Floats come as `dtype`, integers as i32. */
export function loadCase(file: string, name = file, dtype: 'f32' | 'f64' = 'f64') {
  const { tensors, metadata } = readSafetensors(
    new URL(`../fixtures/${file}.safetensors`, import.meta.url).pathname,
  )
  const attributes = JSON.parse(metadata['fixture']!).cases[name] as Record<string, unknown>
  const role = (wanted: string): Map<string, Tensor> => {
    const prefix = `${name}/${wanted}/`
    const found = [...tensors].filter(([path]) => path.startsWith(prefix))
    return new Map(
      found.map(([path, { data, shape, dtype: stored }]) => [
        path.slice(prefix.length),
        widened(stored === 'BOOL' ? 'f32' : dtype, tensor(data as TypedArray, { shape })),
      ]),
    )
  }
  const parameters = role('parameter')
  return {
    attributes,
    input: role('input'),
    parameters: (parameters.size ? fromEntries(parameters) : {}) as Tree<Tensor>,
    output: role('output'),
    grad: role('grad'),
    jvp: role('jvp'),
    hvp: role('hvp'),
    tangent: role('tangent'),
    cotangent: role('cotangent'),
  }
}

/** Largest |a − b| relative to the largest |b| (or 1e-30). */
export function relativeError(a: Tensor, b: Tensor): number {
  // scalars are stored as [1]
  expect(a.shape).toEqual(a.rank === 0 && b.size === 1 ? [] : b.shape)
  let worst = 0
  let scale = 1e-30
  for (let i = 0; i < b.size; i++) {
    const [x, y] = [Number(a.data[i]), Number(b.data[i])]
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.NaN
    worst = Math.max(worst, Math.abs(x - y))
    scale = Math.max(scale, Math.abs(y))
  }
  return worst / scale
}

/** Every tensor of `got` is within `tolerance` (relative to the largest element) of that of its name in `expected`. */
export function expectClose(
  got: Tree<Tensor>,
  expected: ReadonlyMap<string, Tensor>,
  tolerance: number,
): void {
  const list = entries(got)
  expect(list.map(([name]) => name).sort()).toEqual([...expected.keys()].sort())
  for (const [name, t] of list) {
    const error = relativeError(t, expected.get(name)!)
    expect(error, `${name}: relative error ${error}`).toBeLessThan(tolerance)
  }
}
