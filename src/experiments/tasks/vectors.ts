/** @file Arithmetic of parameters on the host: task vectors, their sums, and models along them. */
import type { Parameters } from '../../nn/index.ts'
import { mapTree, random, type Tensor, type Tree, tensor, zipTrees } from '../../tensor/index.ts'

/** Σ c_i θ_i of concrete trees of one structure, leaf by leaf in f32. */
export function combined(
  parts: readonly (readonly [coefficient: number, parameters: Parameters])[],
): Parameters {
  const coefficients = parts.map(([c]) => c)
  const trees = parts.map(([, tree]) => tree as Tree<Tensor>)
  return zipTrees(
    (...own: Tensor[]) => {
      const out = new Float32Array(own[0]!.size)
      for (const [t, { data }] of own.entries()) {
        const c = coefficients[t]!
        for (let i = 0; i < out.length; i++) out[i]! += c * (data[i] as number)
      }
      return tensor(out, { shape: own[0]!.shape })
    },
    trees[0]!,
    ...trees.slice(1),
  )
}

/** τ = θ − θ₀. */
export const taskVector = (tuned: Parameters, start: Parameters): Parameters =>
  combined([
    [1, tuned],
    [-1, start],
  ])

/** θ₀ + α τ. */
export const along = (start: Parameters, alpha: number, vector: Parameters): Parameters =>
  combined([
    [1, start],
    [alpha, vector],
  ])

/** Parameters drawn anew: each tensor of at least two axes from N(mean, variance) of its own numbers, the others as they are. */
export function redrawn(parameters: Parameters, key: random.Key): Parameters {
  let index = 0
  return mapTree(parameters as Tree<Tensor>, (t) => {
    const own = random.foldIn(key, index++)
    if (t.rank < 2) return t
    const numbers = t.data as Float32Array
    const mean = numbers.reduce((sum, v) => sum + v, 0) / numbers.length
    const deviation = Math.sqrt(numbers.reduce((sum, v) => sum + (v - mean) ** 2, 0) / numbers.length)
    const drawn = random.sampleNormal(own, numbers.length)
    return tensor(
      Float32Array.from(drawn, (v) => mean + deviation * v),
      { shape: t.shape },
    )
  })
}
