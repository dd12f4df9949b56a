/** @file Sizes of task vectors and angles between them, in one pass over pieces. */

import { fail, finish, type Steps } from '../../base/index.ts'
import { elements } from '../../checkpoint/index.ts'
import { inLayerOrder, splitName } from '../plan/index.ts'
import { alignedVector, checkFinite, type OnTensor, piece, type TaskVector } from './source.ts'

/** L1 and L2 norm of the finite elements. */
export interface Norms {
  readonly l1: number
  readonly l2: number
}

/** Norms of one vector: of each layer (`layer` null outside layers), of each tensor, and of the whole. */
export interface VectorNorms extends Norms {
  readonly path: string
  readonly layers: readonly (Norms & { readonly stack: string; readonly layer: number | null })[]
  readonly tensors: readonly (Norms & { readonly name: string; readonly notFinite: number })[]
}

/** Norms in double precision; elements that are not finite are counted and left out. */
export const vectorNorms = (vector: TaskVector): VectorNorms => finish(vectorNormsSteps(vector))

/** The same in steps. */
export function* vectorNormsSteps(vector: TaskVector, onTensor?: OnTensor): Steps<VectorNorms> {
  const layers = new Map<string, { stack: string; layer: number | null; l1: number; squares: number }>()
  const whole = { l1: 0, squares: 0 }
  const tensors: (Norms & { name: string; notFinite: number })[] = []
  for (const { name, shape, f32, unchecked = f32 } of vector.tensors.values()) {
    onTensor?.(name, tensors.length, vector.tensors.size)
    let [l1, squares, notFinite] = [0, 0, 0]
    const total = elements(shape)
    for (let start = 0; start < total; start += piece) {
      const values = unchecked(start, Math.min(piece, total - start))
      for (let i = 0; i < values.length; i++) {
        if (!Number.isFinite(values[i])) {
          notFinite++
          continue
        }
        l1 += Math.abs(values[i]!)
        squares += values[i]! * values[i]!
      }
      yield
    }
    tensors.push({ name, l1, l2: Math.sqrt(squares), notFinite })
    const split = splitName(name)
    const [stack, layer] = split ? [split.stack, split.layer] : ['', null]
    const sums = layers.get(`${stack} ${layer}`) ?? { stack, layer, l1: 0, squares: 0 }
    layers.set(`${stack} ${layer}`, sums)
    for (const one of [sums, whole]) {
      one.l1 += l1
      one.squares += squares
    }
  }
  const norms = ({ l1, squares }: { l1: number; squares: number }): Norms => ({ l1, l2: Math.sqrt(squares) })
  const ordered = inLayerOrder([...layers.values()], (one) => one)
  return {
    path: vector.path,
    ...norms(whole),
    layers: ordered.map((one) => ({ stack: one.stack, layer: one.layer, ...norms(one) })),
    tensors: inLayerOrder(tensors, ({ name }) => splitName(name)),
  }
}

/**
 * Cosines between vectors, `[n][n]`, over all tensors; one that a vector lacks is zero in it. Null where a vector is zero.
 * Throws TL_SHAPE_MISMATCH, TL_NOT_FINITE.
 */
export const vectorCosines = (vectors: readonly TaskVector[]): (number | null)[][] =>
  finish(vectorCosinesSteps(vectors))

/** The same in steps. */
export function* vectorCosinesSteps(
  given: readonly TaskVector[],
  onTensor?: OnTensor,
): Steps<(number | null)[][]> {
  const vectors = given.map((vector) => alignedVector(vector, given[0]!))
  const n = vectors.length
  const dots = Array.from({ length: n }, () => new Float64Array(n))
  const names = new Set(vectors.flatMap(({ tensors }) => [...tensors.keys()]))
  let done = 0
  for (const name of names) {
    onTensor?.(name, done++, names.size)
    const own = vectors.map(({ tensors }) => tensors.get(name))
    const { shape } = own.find((tensor) => tensor)!
    const odd = own.findIndex((tensor) => tensor && tensor.shape.join() !== shape.join())
    if (odd >= 0)
      fail(
        'TL_SHAPE_MISMATCH',
        `${name}: shape [${own[odd]!.shape.join(', ')}] in ${vectors[odd]!.path}, [${shape.join(', ')}] in another vector`,
      )
    const total = elements(shape)
    for (let start = 0; start < total; start += piece) {
      const count = Math.min(piece, total - start)
      const values = own.map(
        (tensor, i) => tensor && checkFinite(tensor.f32(start, count), start, name, vectors[i]!.path),
      )
      for (let i = 0; i < n; i++)
        for (let j = 0; j <= i; j++) {
          const [a, b] = [values[i], values[j]]
          if (!a || !b) continue
          let dot = 0
          for (let k = 0; k < count; k++) dot += a[k]! * b[k]!
          dots[i]![j]! += dot
        }
      yield
    }
  }
  return dots.map((_, i) =>
    dots.map((__, j) => {
      const scale = Math.sqrt(dots[i]![i]!) * Math.sqrt(dots[j]![j]!)
      if (!(scale > 0)) return null
      return i === j ? 1 : Math.max(-1, Math.min(1, dots[Math.max(i, j)]![Math.min(i, j)]! / scale))
    }),
  )
}
