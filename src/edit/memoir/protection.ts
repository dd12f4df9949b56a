/**
 * @file Learning without harm to earlier edits (not in the paper). Edits share rows of the memory wherever their masks overlap,
 * so that each one learned disturbs what is read for those before it. With C the sum of a aᵀ over every token that earlier
 * edits were taught with, a being what it reads the memory with, a gradient G in the rows is replaced by (I + C/λ)⁻¹ G: along
 * directions that many tokens read hardly anything moves, along the others all does. λ is the mean |a|² of the new edit's own
 * tokens, over the strength. AlphaEdit and recursive least squares treat whole matrices so; here it is one mask's rows.
 */
import { cholesky, fail, solveCholesky } from '../../base/index.ts'
import { compileDynamic, type DynamicProgram, matmul, spec, type Tensor } from '../../tensor/index.ts'
import type { Keys } from './store/index.ts'

/** Mean over tokens of |a|². */
function energyOf({ places, activations }: Keys): number {
  const total = activations.reduce((sum, x) => sum + x * x, 0)
  return (total * places.length) / activations.length
}

/** Σ a aᵀ over tokens of the others, at the own places: [places, places], its lower triangle. */
function covarianceOf(places: Int32Array, others: readonly Keys[]): Float64Array {
  const count = places.length
  const at = new Map(Array.from(places, (place, i) => [place, i]))
  const sum = new Float64Array(count * count)
  for (const { places: theirs, activations } of others) {
    const shared: [number, number][] = []
    for (const [column, place] of theirs.entries()) {
      const i = at.get(place)
      if (i !== undefined) shared.push([column, i])
    }
    const rows = shared.map(([, i]) => i * count)
    const columns = shared.map(([, i]) => i)
    const values = new Float64Array(shared.length)
    for (let from = 0; from < activations.length; from += theirs.length) {
      for (const [s, [column]] of shared.entries()) values[s] = activations[from + column]!
      for (let s = 0; s < values.length; s++) {
        const [value, row] = [values[s]!, rows[s]!]
        if (value !== 0) for (let r = 0; r <= s; r++) sum[row + columns[r]!]! += value * values[r]!
      }
    }
  }
  return sum
}

/**
 * (I + C/λ)⁻¹ [places, places] for an edit after others; undefined when there are none. Both kinds of places ascend. Throws
 * `TL_NOT_FINITE` for activations that are no numbers.
 */
export function preconditionerOf(
  own: Keys,
  others: readonly Keys[],
  strength: number,
): Float32Array | undefined {
  if (strength === 0 || others.length === 0) return undefined
  const count = own.places.length
  const lambda = energyOf(own) / strength
  const matrix = covarianceOf(own.places, others)
  for (let i = 0; i < matrix.length; i++) matrix[i]! /= lambda
  for (let i = 0; i < count; i++) matrix[i * count + i]! += 1
  if (cholesky(matrix, count) >= 0)
    fail('TL_NOT_FINITE', 'protection: what earlier edits read is not finite; the store is damaged')
  const inverse = new Float64Array(count * count)
  for (let i = 0; i < count; i++) inverse[i * count + i] = 1
  solveCholesky(matrix, count, inverse, count)
  return Float32Array.from(inverse)
}

/** The product of a preconditioner and a gradient [places, width], written over it. */
export interface Protector {
  apply(preconditioner: Float32Array, gradient: Float32Array): Promise<void>
  dispose(): void
}

/** The program is compiled at the first call. */
export function makeProtector(width: number, threads: number): Protector {
  let opened: Promise<DynamicProgram> | undefined
  let result = new Float32Array(0)
  return {
    async apply(preconditioner, gradient) {
      opened ??= compileDynamic(
        (p: Tensor, g: Tensor) => matmul(p, g),
        ({ P }) => [spec([P!, P!]), spec([P!, width])],
        // sizes that no model has, so that they cannot be taken for one of its own
        { name: 'protection', samples: [{ P: 10061 }, { P: 10069 }], threads },
      )
      const program = await opened
      if (result.length !== gradient.length) result = new Float32Array(gradient.length)
      await program.run({ P: gradient.length / width }, [preconditioner, gradient], [result])
      gradient.set(result)
    },
    dispose() {
      void opened?.then((program) => program.dispose()).catch(() => undefined)
      opened = undefined
    },
  }
}
