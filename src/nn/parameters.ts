/** @file Parameter trees as data: counting, converting, choosing by name, reading and writing. */
import { count, didYouMean, fail } from '../base/index.ts'
import { readSafetensors, type TensorToWrite, writeSafetensors } from '../checkpoint/index.ts'
import {
  type Dtype,
  entries,
  type FloatDtype,
  fromEntries,
  isFloat,
  leaves,
  mapTree,
  sameShape,
  showSpec,
  type TypedArray,
  tensor,
  unflatten,
} from '../tensor/index.ts'
import type { Parameters } from './layer.ts'

/** Number of weights. */
export const countParameters = (parameters: Parameters): number =>
  leaves(parameters).reduce((n, t) => n + t.size, 0)

/** One line for each tensor, `blocks.0.norm1.weight  f32[64]`, and the total. */
export const describeParameters = (parameters: Parameters): string =>
  [
    ...entries(parameters).map(([name, t]) => `${name}  ${showSpec(t)}`),
    `${count(countParameters(parameters))} parameters`,
  ].join('\n')

/** A copy of a concrete tree, floats as `dtype`. */
export const castParameters = <P extends Parameters>(parameters: P, dtype: FloatDtype): P =>
  mapTree(parameters as Parameters, (t) =>
    isFloat(t.dtype)
      ? tensor(
          dtype === 'f32'
            ? Float32Array.from(t.data as Float32Array)
            : Float64Array.from(t.data as Float32Array),
          {
            shape: t.shape,
          },
        )
      : t,
  ) as P

/** A copy of a concrete tree, with memory of its own. */
export const copyParameters = <P extends Parameters>(parameters: P): P =>
  mapTree(parameters as Parameters, (t) => tensor(t.data.slice() as TypedArray, { shape: t.shape })) as P

/** Split a tree by dotted name. `join` puts two such halves together again in the original order. */
export function partition<P extends Parameters>(
  parameters: P,
  isChosen: (name: string) => boolean,
): { chosen: Parameters; others: Parameters; join: (chosen: Parameters, others: Parameters) => P } {
  const half = (wanted: boolean): Parameters =>
    fromEntries(entries(parameters as Parameters).filter(([name]) => isChosen(name) === wanted))
  return {
    chosen: half(true),
    others: half(false),
    join: (chosen, others) => {
      const found = new Map([...entries(chosen), ...entries(others)])
      return mapTree(parameters as Parameters, (_, name) => found.get(name)!) as P
    },
  }
}

const stored = {
  f32: 'F32',
  f64: 'F64',
  i32: 'I32',
  i64: 'I64',
  u32: 'U32',
  bool: 'BOOL',
} as const satisfies Record<Dtype, string>

/** The tensors of a tree as a safetensors writer takes them; names get a prefix. */
export const storable = (tree: Parameters, prefix = ''): [string, TensorToWrite][] =>
  entries(tree).map(([name, { dtype, shape, data }]) => [
    name && prefix ? `${prefix}.${name}` : prefix || name,
    { dtype: stored[dtype], shape, data },
  ])

type Found = ReadonlyMap<string, { dtype: string; shape: readonly number[]; data: ArrayBufferView }>

/**
 * A tree like `like` from stored tensors. Every leaf must be there with its shape; floats may come as F32 or F64. Throws
 * TL_BAD_FILE with the name and the nearest one in the file.
 */
export function restore<P extends Parameters>(like: P, found: Found, label: string, prefix = ''): P {
  const list = entries(like as Parameters).map(([path, spec]) => {
    const name = path && prefix ? `${prefix}.${path}` : prefix || path
    const t = found.get(name)
    if (!t) {
      const names = [...found.keys()]
      return fail('TL_BAD_FILE', `${label}: no tensor "${name}" ${didYouMean(name, names.slice(0, 12))}`)
    }
    const fits =
      t.dtype === stored[spec.dtype] || (isFloat(spec.dtype) && (t.dtype === 'F32' || t.dtype === 'F64'))
    if (!fits || !sameShape(t.shape, spec.shape))
      fail(
        'TL_BAD_FILE',
        `${label}: tensor "${name}": expected ${showSpec(spec)}, got ${t.dtype} [${t.shape.join(',')}]`,
      )
    return tensor(t.data as TypedArray, { shape: t.shape, dtype: spec.dtype })
  })
  return unflatten(like as Parameters, list) as P
}

/** Write a model: one tensor for each leaf, under its dotted name. Atomic. Throws TL_IO. */
export const saveParameters = (
  path: string,
  parameters: Parameters,
  metadata: Record<string, string> = {},
): void => writeSafetensors(path, storable(parameters), metadata)

/**
 * Read a model's parameters. With `like` (parameters or specs of the network) names and shapes are checked, and tensors the
 * network has no place for are an error; without it the tree is built from the names. Throws TL_BAD_FILE, TL_IO.
 */
export function loadParameters<P extends Parameters>(path: string, like?: P): P {
  const { tensors } = readSafetensors(path)
  if (!like) {
    const unknown = [...tensors].find(([, t]) => !(Object.values(stored) as string[]).includes(t.dtype))
    if (unknown)
      fail('TL_UNSUPPORTED', `${path}: tensor "${unknown[0]}" is ${unknown[1].dtype}: convert it first`)
    return fromEntries(
      [...tensors].map(([name, t]) => [name, tensor(t.data as TypedArray, { shape: t.shape })]),
    ) as P
  }
  const known = new Set(entries(like as Parameters).map(([name]) => name))
  const extra = [...tensors.keys()].find((name) => !known.has(name))
  if (extra !== undefined)
    fail(
      'TL_BAD_FILE',
      `${path}: tensor "${extra}" has no place in the network, ${didYouMean(extra, [...known].slice(0, 12))}`,
    )
  return restore(like, tensors, path)
}
